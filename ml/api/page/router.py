"""Addresses of the page: what is asked for, by whom, and what comes back. All answers are HTML, errors too."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast, get_args
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute

from ml.api.page import security
from ml.api.page.assets import asset
from ml.api.page.confirm import LONGEST_WHY, confirm_page
from ml.api.page.detail import LOG_LENGTH, Detail, detail_page, version_of
from ml.api.page.layout import message_page
from ml.api.page.listing import experiment_path, list_page, sign_in_page
from ml.api.page.security import BASE_PATH, guarded, session_token
from ml.api.page.source import SCOPE_READ, ExperimentRows, Filters, PageSource, RefusedError, Visitor
from ml.contracts.storable import why_not_storable
from ml.events.ports import StoreUnavailableError
from ml.events.types import CommandAction, Phase
from ml.kubernetes import ApiError
from ml.reporting.experiment.commands import COMMANDS

_LONGEST_FORM_BYTES: Final = 16_384
_YEAR_SECONDS: Final = 31_536_000
_LAST_POSITION: Final = 2**53
_LONGEST_ONCE: Final = 64


@dataclass(frozen=True, kw_only=True)
class _Session:
    """A request of somebody who is signed in."""

    request: Request
    visitor: Visitor
    token: str


def build_page_router(source: PageSource, clock: Callable[[], float] = time.time) -> APIRouter:
    """Return the page's addresses.

    Args:
        source: reads and commands.
        clock: seconds since 1970.
    """
    router = APIRouter(
        prefix=BASE_PATH, include_in_schema=False, default_response_class=HTMLResponse, route_class=_PageRoute
    )
    handlers = _Handlers(source, clock)
    router.add_api_route("", handlers.listing, methods=["GET"])
    router.add_api_route("/", handlers.listing, methods=["GET"])
    router.add_api_route("/sign-in", handlers.ask_token, methods=["GET"])
    router.add_api_route("/sign-in", handlers.sign_in, methods=["POST"])
    router.add_api_route("/sign-out", handlers.sign_out, methods=["POST"])
    router.add_api_route("/static/{name}", handlers.static, methods=["GET"])
    router.add_api_route("/experiments/{name}", handlers.experiment, methods=["GET"])
    router.add_api_route("/experiments/{name}/{action}", handlers.ask_command, methods=["GET"])
    router.add_api_route("/experiments/{name}/{action}", handlers.command, methods=["POST"])
    return router


class _PageRoute(APIRoute):
    """Answers with a page also where something behind it does not work."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except RefusedError as error:
                return _html(message_page(error.title, error.detail, visitor=None), error.status)
            except (StoreUnavailableError, ApiError) as error:
                what = "event store" if isinstance(error, StoreUnavailableError) else "Kubernetes API"
                detail = f"The {what} does not answer. Experiments go on; only this page cannot show them."
                return _html(message_page("Try again", detail, visitor=None), 503)

        return answer


class _Handlers:
    def __init__(self, source: PageSource, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock

    # Signing in ------------------------------------------------------------------------------------------------------
    async def ask_token(self, request: Request) -> Response:
        if await self._visitor(request) is not None:
            return _redirect(BASE_PATH)
        return _html(sign_in_page(next_path=_own_path(request.query_params.get("next", ""))))

    async def sign_in(self, request: Request) -> Response:
        form = await _form(request)
        if form is None or security.is_foreign(request):
            return _html(sign_in_page(problem="The form was not usable. Try again."), 400)
        next_path = _own_path(form.get("next", ""))
        given = form.get("token", "").strip()
        if len(given) > security.LONGEST_TOKEN:
            problem = (
                f"This token has {len(given):,} characters; browsers keep at most {security.LONGEST_TOKEN:,}. Ask your "
                "identity provider for a token with fewer claims (groups, above all), or use a local token."
            )
            return _html(sign_in_page(problem=problem, next_path=next_path), 400)
        token = security.usable_token(given)
        visitor = await self._source.visitor(token) if token else None
        if visitor is None or SCOPE_READ not in visitor.scopes:
            problem = "This token is not valid, has expired, or may not read experiments."
            return _html(sign_in_page(problem=problem, next_path=next_path), 401)
        response = _redirect(next_path or BASE_PATH)
        security.keep_session(request, response, token)
        return response

    async def sign_out(self, request: Request) -> Response:
        form = await _form(request)
        if form is None or not security.is_own_form(session_token(request), form.get("form", "")):
            return _html(message_page("Not done", "The form was not usable.", visitor=None), 403)
        response = _redirect(f"{BASE_PATH}/sign-in")
        security.end_session(request, response)
        return response

    async def static(self, name: str) -> Response:
        found = asset(name)
        if found is None:
            return _html(message_page("Not found", "There is no such file.", visitor=None), 404)
        headers = {"Cache-Control": f"public, max-age={_YEAR_SECONDS}, immutable", "ETag": f'"{found.version}"'}
        return guarded(Response(found.content, media_type=found.media_type, headers=headers))

    # Reading ---------------------------------------------------------------------------------------------------------
    async def listing(self, request: Request) -> Response:
        async def answer(session: _Session) -> Response:
            query = request.query_params
            filters = Filters(
                model=query.get("model", ""), phase=query.get("phase", ""), name=query.get("name", "").strip()
            )
            cursor = query.get("cursor") or None
            known = not filters.phase or filters.phase in get_args(Phase)
            found = (
                await self._source.experiments(filters, cursor) if known else ExperimentRows(rows=(), next_cursor=None)
            )
            models = await self._source.models()
            return _html(
                list_page(found, models, filters, visitor=session.visitor, session=session.token, first=cursor is None)
            )

        return await self._signed_in(request, answer)

    async def experiment(self, request: Request, name: str) -> Response:
        async def answer(session: _Session) -> Response:
            detail = await self._detail(name, _position(request.query_params.get("before")))
            if detail is None:
                return _missing(session, name)
            version = version_of(detail)
            if request.headers.get("if-none-match") == version:
                return guarded(Response(status_code=304, headers={"ETag": version}))
            done = request.query_params.get("done", "")
            text = detail_page(detail, visitor=session.visitor, session=session.token, done=done)
            return _html(text, headers={"ETag": version})

        return await self._signed_in(request, answer)

    # Commands --------------------------------------------------------------------------------------------------------
    async def ask_command(self, request: Request, name: str, action: str) -> Response:
        async def answer(session: _Session) -> Response:
            return await self._confirmation(session, name, action)

        return await self._signed_in(request, answer)

    async def command(self, request: Request, name: str, action: str) -> Response:
        async def answer(session: _Session) -> Response:
            form = await _form(request)
            given = "" if form is None else form.get("form", "")
            if form is None or security.is_foreign(request) or not security.is_own_form(session.token, given):
                return self._refused(session, RefusedError(403, "Not done", "The form was not made for this session."))
            why = " ".join(form.get("why", "").split())
            if not 0 < len(why) <= LONGEST_WHY:
                problem = f"Why: {len(why)} characters were given; allowed are 1 to {LONGEST_WHY}."
                return await self._confirmation(session, name, action, problem=problem, why=why, status=422)
            if action not in COMMANDS or not session.visitor.may_decide:
                return await self._confirmation(session, name, action)
            try:
                wanted = cast("CommandAction", action)
                once = form.get("once", "")[:_LONGEST_ONCE] or secrets.token_hex(16)
                await self._source.issue(session.visitor, name, wanted, form.get("arm") or None, why, once)
            except RefusedError as error:
                problem = f"{error.title}: {error.detail}"
                return await self._confirmation(session, name, action, problem=problem, why=why, status=error.status)
            return _redirect(f"{experiment_path(name)}?{urlencode({'done': action})}")

        return await self._signed_in(request, answer)

    async def _confirmation(
        self, session: _Session, name: str, action: str, *, problem: str = "", why: str = "", status: int = 200
    ) -> Response:
        if action not in COMMANDS:
            return self._refused(session, RefusedError(404, "Not found", "There is no such command."))
        if not session.visitor.may_decide:
            detail = "Your token may read, but not decide. Sign in with a decide token."
            return self._refused(session, RefusedError(403, "Not allowed", detail))
        results = await self._source.results(name)
        if results is None:
            return _missing(session, name)
        text = confirm_page(
            results,
            cast("CommandAction", action),
            visitor=session.visitor,
            session=session.token,
            now=self._clock(),
            problem=problem,
            why=why,
        )
        return _html(text, status)

    # Common ----------------------------------------------------------------------------------------------------------
    async def _visitor(self, request: Request) -> Visitor | None:
        token = session_token(request)
        visitor = await self._source.visitor(token) if token else None
        return visitor if visitor is not None and SCOPE_READ in visitor.scopes else None

    async def _signed_in(self, request: Request, answer: Callable[[_Session], Awaitable[Response]]) -> Response:
        visitor = await self._visitor(request)
        if visitor is None:
            wanted = request.url.path if request.method == "GET" else ""
            return _redirect(f"{BASE_PATH}/sign-in?{urlencode({'next': wanted})}" if wanted else f"{BASE_PATH}/sign-in")
        return await answer(_Session(request=request, visitor=visitor, token=session_token(request)))

    async def _detail(self, name: str, before: int | None) -> Detail | None:
        results = await self._source.results(name)
        if results is None:
            return None
        return Detail(
            results=results,
            decisions=await self._source.decisions(results.id, before, LOG_LENGTH),
            commands=await self._source.commands(results.id),
            now=self._clock(),
            before=before,
        )

    def _refused(self, session: _Session, error: RefusedError) -> Response:
        text = message_page(error.title, error.detail, visitor=session.visitor, session=session.token)
        return _html(text, error.status)


async def _form(request: Request) -> Mapping[str, str] | None:
    """Return the fields of a form as browsers send it; None if it is something else or too long.

    Raises:
        RefusedError: a text in it cannot be stored.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return None
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_FORM_BYTES:
            return None
    try:
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=10)
    except ValueError:
        return None
    for name, (value, *_) in fields.items():
        if found := why_not_storable(name) or why_not_storable(value):
            detail = f"The field {name!a} cannot be taken: it holds {found}. Go back, remove it, send it again."
            raise RefusedError(400, "Not done", detail)
    return {name: values[0] for name, values in fields.items()}


def _html(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return guarded(HTMLResponse(text, status_code=status, headers=dict(headers or {})))


def _redirect(path: str) -> Response:
    return guarded(RedirectResponse(path, status_code=303))


def _missing(session: _Session, name: str) -> Response:
    text = message_page(
        "Not found", f"There is no experiment named {name}.", visitor=session.visitor, session=session.token
    )
    return _html(text, 404)


def _own_path(path: str) -> str:
    """Return a path of this page; empty for any other address, so that nobody is led away after signing in."""
    plain = path.startswith((f"{BASE_PATH}/experiments/", f"{BASE_PATH}?")) or path == BASE_PATH
    return path if plain and path.isprintable() and ".." not in path and "\\" not in path else ""


def _position(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdigit() or not 0 < len(text) <= len(str(_LAST_POSITION)):
        return None
    return min(int(text), _LAST_POSITION)
