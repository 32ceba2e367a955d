"""The HTTP port: reads requests, runs them on a bounded pool of threads, and serves the metrics page."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import uvicorn

from local.modelserver.json_result import error_body
from local.modelserver.monitoring import Metrics
from local.modelserver.rest import API_PATH, Response, RestApi
from local.modelserver.status import Code, StatusError

_LOG = logging.getLogger(__name__)
_NOT_FOUND: Final = Response(404, b"<HTML><HEAD><TITLE>404 Not Found</TITLE></HEAD></HTML>\n", "text/html")
_CORS_HEADERS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
)
_DRAIN_SECONDS: Final = 20

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class HttpApplication:
    """An ASGI application around the REST API.

    A request that takes longer than the limit is answered with 504; its thread is busy until TensorFlow gives up by the
    same limit, so that the pool cannot be exhausted for good.
    """

    def __init__(
        self,
        api: RestApi,
        metrics: Metrics,
        *,
        threads: int,
        timeout_ms: int,
        metrics_path: str | None,
        enable_cors: bool,
    ) -> None:
        self._api = api
        self._metrics = metrics
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="rest")
        self._timeout_seconds = timeout_ms / 1_000 if timeout_ms > 0 else None
        self._metrics_path = metrics_path
        self._headers = _CORS_HEADERS if enable_cors else ()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        response = await self._respond(scope["method"], _raw_path(scope), await _read_body(receive))
        headers = [
            (b"content-type", response.content_type.encode()),
            (b"content-length", str(len(response.body)).encode()),
            *self._headers,
        ]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})

    async def _respond(self, method: str, path: str, body: bytes) -> Response:
        if self._metrics_path is not None and path == self._metrics_path:
            return Response(200, self._metrics.page(), "text/plain")
        if not API_PATH.fullmatch(path):
            return _NOT_FOUND
        work = asyncio.get_running_loop().run_in_executor(self._executor, self._guarded, method, path, body)
        try:
            return await asyncio.wait_for(work, self._timeout_seconds)
        except TimeoutError:
            return _error(StatusError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification"))

    def _guarded(self, method: str, path: str, body: bytes) -> Response:
        try:
            return self._api.answer(method, path, body)
        except Exception as error:  # noqa: BLE001 one request must not end the server
            _LOG.exception("%s %s", method, path)
            return _error(StatusError(Code.INTERNAL, f"{type(error).__name__}: {error}"))


def make_server(application: HttpApplication, port: int) -> uvicorn.Server:
    """Return a server for all addresses of a port, not yet started; it drains open requests when told to stop."""
    config = uvicorn.Config(
        application,
        host="0.0.0.0",  # noqa: S104 a pod's port is reached from outside the pod
        port=port,
        access_log=False,
        log_config=None,
        lifespan="off",
        server_header=False,
        date_header=True,
        ws="none",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    return uvicorn.Server(config)


def _error(error: StatusError) -> Response:
    return Response(error.http_status, error_body(error))


def _raw_path(scope: dict[str, Any]) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("latin-1")


async def _read_body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return b"".join(chunks)
