"""The API as the commands use it. What it refuses becomes an error that names each field."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self, cast
from urllib.parse import quote

import httpx

from ml.cli.errors import NotFoundError, UserError
from ml.cli.experiment.answers import understood
from ml.cli.http import http_client
from ml.contracts import EXPERIMENTS_PATH
from ml.contracts.problems import show

_TIMEOUT_SECONDS: Final = 30.0
_LONGEST_QUOTE: Final = 300
_NOT_FOUND: Final = 404
_HISTORY_PAGE: Final = 500

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Access:
    """Where the API is and what opens it."""

    url: str
    """Scheme, host and port."""
    token: str = field(repr=False)
    host: str = ""
    """Host name to ask for where it is not the one of the address."""


class ApiClient:
    """One command's requests."""

    def __init__(self, access: Access) -> None:
        self._url = access.url.rstrip("/")
        headers = {"Authorization": f"Bearer {access.token}", "Accept": "application/json"}
        if access.host:
            headers["Host"] = access.host
        self._client = http_client(_TIMEOUT_SECONDS, headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def create(self, name: str, spec: Mapping[str, Any], idempotency_key: str) -> Document:
        """Ask for an experiment."""
        body = {"name": name, "spec": dict(spec)}
        return await self._json("POST", EXPERIMENTS_PATH, json=body, headers={"Idempotency-Key": idempotency_key})

    async def experiments(self, **filters: str | None) -> AsyncGenerator[Document]:
        """Yield experiments, newest first, over all pages."""
        cursor: str | None = None
        while True:
            wanted = {key: value for key, value in {**filters, "cursor": cursor}.items() if value}
            page = await self._json("GET", EXPERIMENTS_PATH, params=wanted)
            for item in _items(page):
                yield item
            cursor = cast("str | None", page.get("nextCursor"))
            if not cursor:
                return

    async def results(self, name: str) -> Document:
        """Return what is known of an experiment."""
        return await self._json("GET", f"{_path(name)}/results")

    async def history(self, name: str, after: int = 0) -> list[Document]:
        """Return all events of an experiment after a position: stream, position, event."""
        found: list[Document] = []
        while True:
            asked = {"after": str(after), "limit": str(_HISTORY_PAGE)}
            page = await self._json("GET", f"{_path(name)}/history", params=asked)
            found += _items(page)
            with understood("the answer of the API"):
                following = None if page["nextAfter"] is None else int(page["nextAfter"])
            if following is None:
                return found
            if following <= after:
                raise UserError(f"the API repeats itself: nextAfter={following} after {after}", "see `mlp logs api`")
            after = following

    async def command(self, name: str, action: str, why: str, arm: str | None, idempotency_key: str) -> Document:
        """Ask the controller for something."""
        body = {"why": why, **({"arm": arm} if arm else {})}
        headers = {"Idempotency-Key": idempotency_key}
        return await self._json("POST", f"{_path(name)}/{action}", json=body, headers=headers)

    async def _json(self, method: str, path: str, **request: Any) -> Document:
        try:
            answer = await self._client.request(method, f"{self._url}{path}", **request)
        except httpx.HTTPError as error:
            words = str(error) or type(error).__name__
            raise UserError(f"the API does not answer at {self._url}: {words}", "see `mlp status`") from None
        if not answer.is_success:
            raise _refusal(answer)
        try:
            document: object = answer.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise UserError(
                f"the API answered something that is no JSON object: {_quote(answer)}", "see `mlp logs api`"
            )
        return cast("Document", document)


def _items(page: Document) -> list[Document]:
    items: Any = page.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in cast("list[object]", items)):
        shown = show(page.get("items"))
        raise UserError(f"the API answered a page without a list of objects: items={shown}", "update `mlp`")
    return cast("list[Document]", items)


def _path(name: str) -> str:
    return f"{EXPERIMENTS_PATH}/{quote(name, safe='')}"


def _refusal(answer: httpx.Response) -> UserError:
    """Return an error from a problem document (RFC 9457), each wrong field on a line of its own."""
    try:
        parsed: object = answer.json()
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict) or "title" not in parsed:
        return UserError(
            f"the API answered {answer.status_code}: {_quote(answer)}", "see `mlp status` and `mlp logs api`"
        )
    problem = cast("Document", parsed)
    errors = cast("list[Document]", problem.get("errors") or [])
    lines = [_line(_field(item), str(item.get("detail", ""))) for item in errors]
    head = str(problem["title"])
    if problem.get("detail") and not lines:
        head = f"{head}: {problem['detail']}"
    kind = NotFoundError if answer.status_code == _NOT_FOUND else UserError
    return kind("\n".join([head, *lines]), _remedy(answer))


def _line(field_name: str, detail: str) -> str:
    """Return one wrong field; many details begin with it already."""
    return f"  {detail}" if detail.startswith(field_name) else f"  {field_name}: {detail}"


def _field(item: Mapping[str, Any]) -> str:
    """Return a JSON pointer as people write it: /spec/arms/0/slot becomes spec.arms[0].slot."""
    text = ""
    for part in str(item.get("pointer", "")).lstrip("#").split("/")[1:]:
        plain = part.replace("~1", "/").replace("~0", "~")
        text += f"[{plain}]" if plain.isdigit() else f".{plain}"
    return text.lstrip(".") or "request"


def _remedy(answer: httpx.Response) -> str:
    match answer.status_code:
        case 401:
            return "the token is not valid: unset MLP_API_TOKEN, or renew it"
        case 403:
            return "the token may not do this: use one with the scope that is named"
        case 404:
            return "see `mlp experiment list`"
        case 409:
            return "see `mlp experiment show` for its state"
        case 429:
            return f"try again in {answer.headers.get('Retry-After', 'some')} s"
        case status if status >= 500:
            return "see `mlp status` and `mlp logs api`"
        case _:
            return "correct what is named and try again"


def _quote(answer: httpx.Response) -> str:
    return " ".join(answer.text.split())[:_LONGEST_QUOTE] or "(empty)"
