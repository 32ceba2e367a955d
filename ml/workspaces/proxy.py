"""The way from a team to its workspace: the registry's own interface, with the workspace written in on the way.

Who may call which of these proxies is a matter of network policies; what a caller says about workspaces counts nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Final

import httpx
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ml.contracts import WORKSPACE_HEADER
from ml.workspaces.routes import is_allowed, passed_on

_WORKSPACES: Final = "/api/3.0/mlflow/workspaces"
_EXISTS: Final = "RESOURCE_ALREADY_EXISTS"
_METHODS: Final = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"]
_ASK_AGAIN_SECONDS: Final = 2.0
_log = logging.getLogger("ml.workspaces")


class WorkspaceProxy:
    """Passes requests on to one workspace of a registry."""

    def __init__(self, registry: httpx.AsyncClient, workspace: str) -> None:
        self._registry = registry
        self._workspace = workspace
        self._ready = False
        self._metrics = CollectorRegistry()
        self._requests = Counter(
            "mlplatform_team_registry_requests",
            "Requests of a team to the registry",
            ["workspace", "code_class"],
            registry=self._metrics,
        )

    def app(self) -> Starlette:
        """Return the application; it makes the workspace before it is ready."""
        routes = [
            Route("/healthz", self._alive),
            Route("/readyz", self._is_ready),
            Route("/metrics", self._measured),
            Route("/{path:path}", self._pass_on, methods=_METHODS),
        ]
        return Starlette(routes=routes, lifespan=self._prepared)

    @contextlib.asynccontextmanager
    async def _prepared(self, _: Starlette) -> AsyncGenerator[None]:
        making = asyncio.create_task(self._make_workspace())
        try:
            yield
        finally:
            making.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await making

    async def _make_workspace(self) -> None:
        while not self._ready:
            try:
                answer = await self._registry.post(_WORKSPACES, json={"name": self._workspace})
            except httpx.HTTPError as error:
                _log.warning("waiting for the registry: %s", error)
            else:
                self._ready = answer.is_success or _EXISTS in answer.text
                if not self._ready:
                    _log.warning("the registry makes no workspace: %s %s", answer.status_code, answer.text[:200])
            if not self._ready:
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
        _log.info("workspace %s is there", self._workspace)

    async def _alive(self, _: Request) -> Response:
        return Response()

    async def _is_ready(self, _: Request) -> Response:
        return Response(status_code=HTTPStatus.OK if self._ready else HTTPStatus.SERVICE_UNAVAILABLE)

    async def _measured(self, _: Request) -> Response:
        return Response(generate_latest(self._metrics), media_type=CONTENT_TYPE_LATEST)

    async def _pass_on(self, request: Request) -> Response:
        response = await self._answer(request)
        self._requests.labels(self._workspace, f"{response.status_code // 100}xx").inc()
        return response

    async def _answer(self, request: Request) -> Response:
        if not is_allowed(request.scope["path"]):
            return _refusal(HTTPStatus.FORBIDDEN, "PERMISSION_DENIED", "this is not open to teams")
        try:
            answer = await self._registry.send(self._translated(request), stream=True)
        except ClientDisconnect:
            return _refusal(HTTPStatus.BAD_REQUEST, "BAD_REQUEST", "the request ended early")
        except httpx.HTTPError as error:
            _log.warning("no answer of the registry: %s", error)
            return _refusal(HTTPStatus.BAD_GATEWAY, "TEMPORARILY_UNAVAILABLE", "the registry does not answer")
        response = StreamingResponse(
            answer.aiter_raw(), status_code=answer.status_code, background=BackgroundTask(answer.aclose)
        )
        response.raw_headers = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in passed_on(answer.headers.multi_items())
        ]
        return response

    def _translated(self, request: Request) -> httpx.Request:
        raw: bytes = request.scope["raw_path"]
        query: bytes = request.scope["query_string"]
        has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        return self._registry.build_request(
            request.method,
            httpx.URL(self._registry.base_url, raw_path=raw.partition(b"?")[0] + (b"?" + query if query else b"")),
            # Who asks for no encoding gets none: the client here would add its own wish.
            headers=[
                *([] if "accept-encoding" in request.headers else [("accept-encoding", "identity")]),
                *passed_on(request.headers.items()),
                (WORKSPACE_HEADER, self._workspace),
            ],
            content=request.stream() if has_body else None,
        )


def _refusal(status: HTTPStatus, code: str, message: str) -> Response:
    return JSONResponse({"error_code": code, "message": message}, status_code=status)
