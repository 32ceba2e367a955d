"""GraphQL over HTTP and over WebSockets (`graphql-transport-ws`), behind the same guard as REST."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final, cast

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.requests import HTTPConnection
from strawberry.exceptions import ConnectionRejectionError
from strawberry.fastapi import GraphQLRouter
from strawberry.http.ides import get_graphql_ide_html
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from ml.api.auth import bearer_token
from ml.api.context import Context
from ml.api.graphql.schema import build_schema
from ml.api.guard import demand, guarded, identify
from ml.api.problems import ProblemError
from ml.api.strict_json import JsonError, parse_json

GRAPHQL_PATH: Final = "/ml/graphql"
_INIT_SECONDS: Final = 10
_MOST_SUBSCRIPTIONS: Final = 20
"""Per connection."""
_EDITOR_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline' https://unpkg.com; style-src 'unsafe-inline' https://unpkg.com; "
    "img-src data:; font-src data: https://unpkg.com; connect-src 'self'; frame-ancestors 'none'"
)


class GuardedGraphQLRouter(GraphQLRouter[Any, None]):
    """Strawberry's router with this API's tokens, JSON and headers."""

    def decode_json(self, data: str | bytes) -> object:
        """Return a body, read as strictly as REST does."""
        try:
            parsed = parse_json(data.encode() if isinstance(data, str) else data)
        except JsonError as error:
            raise json.JSONDecodeError(str(error), "", 0) from error
        if not isinstance(parsed, dict):
            raise json.JSONDecodeError("allowed is an object", "", 0)
        return cast("object", parsed)

    async def on_ws_connect(self, context: dict[str, Any]) -> Any:
        """Let a connection in; browsers cannot send headers, so its first message may hold the token."""
        request = cast("HTTPConnection", context["request"])
        served_with = cast("Context", request.app.state.context)
        parameters = cast("dict[str, object] | None", context.get("connection_params")) or {}
        given = next((value for key, value in parameters.items() if key.lower() == "authorization"), None)
        header = given if isinstance(given, str) else request.headers.get("authorization")
        try:
            principal = await identify(served_with, bearer_token(header))
            demand(principal, "read")
            served_with.rates.spend(principal.subject, "reads")
        except ProblemError as error:
            raise ConnectionRejectionError({"reason": error.problem.detail}) from error
        request.state.principal = principal
        return await super().on_ws_connect(context)


def build_graphql_router() -> GraphQLRouter[Any, None]:
    """Return the router."""
    return GuardedGraphQLRouter(
        build_schema(),
        graphql_ide=None,
        allow_queries_via_get=False,
        subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
        connection_init_wait_timeout=timedelta(seconds=_INIT_SECONDS),
        max_subscriptions_per_connection=_MOST_SUBSCRIPTIONS,
        route_class=guarded("read", "reads"),
        include_in_schema=False,
    )


def build_editor_router() -> APIRouter:
    """Return the page with an editor, for development: it loads its scripts from elsewhere."""
    router = APIRouter(include_in_schema=False)

    @router.get("")
    async def show_editor() -> HTMLResponse:  # pyright: ignore[reportUnusedFunction] - the router has it
        """Return the editor."""
        return HTMLResponse(get_graphql_ide_html("graphiql"), headers={"content-security-policy": _EDITOR_POLICY})

    return router
