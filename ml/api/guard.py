"""What stands before every route: who asks, how often, with which scope, with what body; and what is remembered after.

In this order, so that nobody learns more than they may: token (401), rate (429), scope (403), content type (415), body
(413, 400), idempotency key (409, 422). Only then FastAPI validates parameters and body, and the route runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from ml.api.auth import IdentityUnavailableError, Principal, Scope, bearer_token
from ml.api.context import Context, context_of
from ml.api.problems import (
    FieldError,
    ProblemError,
    answer_http_error,
    answer_validation_error,
    invalid,
    plain_problem,
    response_of,
    unavailable,
)
from ml.api.rates import Kind
from ml.api.strict_json import JsonError, parse_json
from ml.events.audit import AuditEntry
from ml.events.idempotency import Answered, InProgress, Mismatch
from ml.events.ports import StoreUnavailableError

IDEMPOTENCY_HEADER: Final = "idempotency-key"
REPLAYED_HEADER: Final = "idempotency-replayed"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
_KEPT_HEADERS: Final = ("location", "etag")
_log = logging.getLogger(__name__)
Handler = Callable[[Request], Awaitable[Response]]


class StrictRequest(Request):
    """A request whose JSON is read as the API wants it."""

    async def json(self) -> Any:
        """Return the body.

        Raises:
            ProblemError: 400, it is no JSON that the API accepts.
        """
        try:
            return parse_json(await self.body())
        except JsonError as error:
            raise ProblemError(400, "malformed-json", f"the body is no acceptable JSON: {error}") from error


def guarded(scope: Scope, kind: Kind, *, writes: bool = False) -> type[APIRoute]:
    """Return the class of routes that need a scope.

    Args:
        scope: that the token must have.
        kind: whose rate is spent.
        writes: something changes: a JSON body is needed, idempotency keys count and the audit hears of it.
    """

    class GuardedRoute(APIRoute):
        """A route behind the guard."""

        def get_route_handler(self) -> Callable[[Request], Any]:
            """Return what serves a request."""
            inner = cast("Handler", super().get_route_handler())
            takes_none = kind == "reads" and not self.dependant.query_params

            async def handle(request: Request) -> Response:
                strict = StrictRequest(request.scope, request.receive)
                await _admit(strict, scope, kind)
                if takes_none or writes:
                    _refuse_parameters(strict)
                if writes:
                    return await _write(strict, inner, self.name)
                return _as_problem(strict, await inner(strict))

            return handle

    return GuardedRoute


async def identify(context: Context, token: str | None) -> Principal:
    """Return who holds a token.

    Raises:
        ProblemError: 401 for none or a bad one, 503 if that cannot be told now.
    """
    challenge = {"WWW-Authenticate": 'Bearer realm="mlplatform"'}
    if token is None:
        raise ProblemError(401, "no-token", "allowed is a header `Authorization: Bearer <token>`", headers=challenge)
    try:
        principal = await context.authenticator.authenticate(token)
    except IdentityUnavailableError as error:
        raise unavailable(str(error)) from error
    if principal is None:
        challenge = {"WWW-Authenticate": 'Bearer realm="mlplatform", error="invalid_token"'}
        raise ProblemError(401, "bad-token", "the token is unknown, expired or not for this API", headers=challenge)
    return principal


def demand(principal: Principal, scope: Scope) -> None:
    """Make sure that somebody may do something.

    Raises:
        ProblemError: 403.
    """
    if scope not in principal.scopes:
        held = ", ".join(sorted(principal.scopes)) or "none"
        challenge = {"WWW-Authenticate": f'Bearer realm="mlplatform", error="insufficient_scope", scope="{scope}"'}
        raise ProblemError(
            403, "scope-missing", f"this needs the scope {scope}; the token has {held}", headers=challenge
        )


def request_digest(subject: str, key: str) -> str:
    """Return what names a request that somebody gave a key: the same again asks for the same thing."""
    return hashlib.sha256(f"{subject}\n{key}".encode()).hexdigest()


async def _admit(request: Request, scope: Scope, kind: Kind) -> None:
    context = context_of(request)
    principal = await identify(context, bearer_token(request.headers.get("authorization")))
    context.rates.spend(principal.subject, kind)
    demand(principal, scope)
    request.state.principal = principal


def _refuse_parameters(request: Request) -> None:
    """Refuse parameters where there are none; routes that have some refuse unknown ones by their shape."""
    unknown = sorted(set(request.query_params))
    if unknown:
        errors = [FieldError(pointer=f"query/{name}", detail="allowed are no parameters") for name in unknown]
        raise invalid(f"query parameters {', '.join(unknown)}: allowed are none", errors)


def _as_problem(request: Request, response: Response) -> Response:
    """Return refusals that somebody else wrote as plain text (GraphQL's) in this API's form."""
    if response.status_code < 400 or not response.headers.get("content-type", "").startswith("text/plain"):
        return response
    text = bytes(response.body).decode("utf-8", "replace")
    return response_of(plain_problem(response.status_code, text), request)


async def _write(request: StrictRequest, inner: Handler, action: str) -> Response:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ProblemError(415, "media-type", f"content-type={media_type!r}: allowed is application/json")
    document = await request.json()
    context, principal = context_of(request), cast("Principal", request.state.principal)
    key = request.headers.get(IDEMPOTENCY_HEADER)
    try:
        if key is None:
            response = await _serve(request, inner)
        else:
            response = await _once(context, principal, key, request, inner)
        if response.status_code < 300 and REPLAYED_HEADER not in response.headers:
            await _audit(context, principal, request, action, document, response.status_code)
    except StoreUnavailableError as error:
        raise unavailable("the event store does not answer") from error
    return response


async def _serve(request: Request, inner: Handler) -> Response:
    """Run the route; its refusals are answers like others."""
    try:
        return await inner(request)
    except RequestValidationError as error:
        return await answer_validation_error(request, error)
    except HTTPException as error:
        return await answer_http_error(request, error)


async def _once(context: Context, principal: Principal, key: str, request: Request, inner: Handler) -> Response:
    """Run the route unless a request with the same key was answered before."""
    if not _KEY.fullmatch(key):
        detail = "allowed are 1 to 200 visible ASCII characters without spaces"
        raise invalid(f"Idempotency-Key: {detail}", [FieldError(pointer="header/Idempotency-Key", detail=detail)])
    store, digest = context.ports.idempotency, await _digest(request)
    held = await store.begin(principal.subject, key, digest)
    if isinstance(held, Answered):
        replayed = {**held.headers, REPLAYED_HEADER: "true"}
        return Response(held.body, held.status, headers=replayed)
    if isinstance(held, Mismatch):
        detail = "the key was used with another request; allowed is a new key"
        raise invalid(f"Idempotency-Key: {detail}", [FieldError(pointer="header/Idempotency-Key", detail=detail)])
    if isinstance(held, InProgress):
        raise ProblemError(
            409, "in-progress", "a request with this key is being answered; try again", headers={"Retry-After": "1"}
        )
    request.state.idempotency_digest = request_digest(principal.subject, key)
    try:
        response = await _serve(request, inner)
    except BaseException:
        with contextlib.suppress(StoreUnavailableError):
            await store.forget(principal.subject, key)
        raise
    if response.status_code >= 400:
        # Nothing was written. Kept, "try again" would be the answer to whoever tries again, for as long as keys live.
        await store.forget(principal.subject, key)
    else:
        kept = {name: response.headers[name] for name in ("content-type", *_KEPT_HEADERS) if name in response.headers}
        await store.finish(principal.subject, key, response.status_code, kept, bytes(response.body))
    return response


async def _digest(request: Request) -> str:
    what = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    what.update(await request.body())
    return what.hexdigest()


async def _audit(
    context: Context, principal: Principal, request: Request, action: str, document: object, status: int
) -> None:
    """Append to the audit; the write itself has happened, so that a failure here is told to operators only."""
    body: Mapping[str, object] = cast("Mapping[str, object]", document) if isinstance(document, Mapping) else {}
    entry = AuditEntry(
        at=context.ports.clock(),
        request_id=str(getattr(request.state, "request_id", "")),
        subject=principal.subject,
        action=action,
        target=str(request.path_params.get("name") or body.get("name") or body.get("model") or ""),
        why=str(body.get("why") or ""),
        status=status,
        details=cast("dict[str, Any]", getattr(request.state, "audit_details", {})),
    )
    try:
        await context.ports.audit.record(entry)
    except StoreUnavailableError:
        context.metrics.audit_failures.inc()
        _log.exception("audit entry lost: %s", json.dumps(entry.__dict__, default=str))
