"""What happens to every request whatever it asks for: its id, the limit of its body, headers, measurements."""

from __future__ import annotations

import re
import time
import uuid
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ml.api.metrics import Metrics
from ml.api.page.layout import message_page
from ml.api.page.security import BASE_PATH as PAGE_PATH
from ml.api.page.security import guarded
from ml.api.problems import ProblemError, response_of
from ml.api.strict_json import MAX_BODY_BYTES

REQUEST_ID_HEADER: Final = "x-request-id"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
"""Put on answers that do not say otherwise themselves."""
_OTHER_OPERATION: Final = "other"


def too_large() -> ProblemError:
    """Return the error for a body over the limit."""
    return ProblemError(413, "body-too-large", f"the body is too large: allowed are {MAX_BODY_BYTES} bytes")


def unusable_address() -> ProblemError:
    """Return the error for an address with U+0000, which names nothing and which the database does not take."""
    return ProblemError(400, "unusable-address", "the address holds the character U+0000 (%00): remove it")


class Surroundings:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID_HEADER, "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started_at, status = time.perf_counter(), 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answer = MutableHeaders(scope=message)
                answer[REQUEST_ID_HEADER] = request_id
                for name, value in _HEADERS.items():
                    answer.setdefault(name, value)
            await send(message)

        try:
            await self._serve(scope, headers, receive, send_with_headers)
        finally:
            operation = getattr(scope.get("endpoint"), "__name__", _OTHER_OPERATION)
            self._metrics.requests.labels(operation, str(status)).inc()
            self._metrics.seconds.labels(operation).observe(time.perf_counter() - started_at)

    async def _serve(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            await _refuse_address(scope)(scope, receive, send)
            return
        announced = headers.get("content-length", "0")
        if announced.isascii() and announced.isdigit() and int(announced[:20]) > MAX_BODY_BYTES:
            await response_of(too_large().problem, Request(scope))(scope, receive, send)
            return
        seen_bytes = 0

        async def receive_within_limit() -> Message:
            nonlocal seen_bytes
            message = await receive()
            if message["type"] == "http.request":
                seen_bytes += len(message.get("body", b""))
                if seen_bytes > MAX_BODY_BYTES:
                    raise too_large()
            return message

        await self._app(scope, receive_within_limit, send)


def _refuse_address(scope: Scope) -> Response:
    """Return the refusal in the form that whoever asked can read: people get a page."""
    problem = unusable_address().problem
    if scope["path"] == PAGE_PATH or scope["path"].startswith(f"{PAGE_PATH}/"):
        return guarded(HTMLResponse(message_page(problem.title, problem.detail, visitor=None), problem.status))
    return response_of(problem, Request(scope))
