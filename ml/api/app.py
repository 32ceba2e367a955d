"""The application: its routes, its layers and what it answers when something goes wrong."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ml.api import operations, reading, reporting, steering
from ml.api.auth import Authenticator
from ml.api.context import Context
from ml.api.documentation import BASE_PATH, describe
from ml.api.graphql.router import GRAPHQL_PATH, build_editor_router, build_graphql_router
from ml.api.metrics import Metrics
from ml.api.middleware import Surroundings
from ml.api.page import build_page_router
from ml.api.page.adapter import PortsSource
from ml.api.ports import Ports
from ml.api.problems import (
    answer_http_error,
    answer_unexpected_error,
    answer_validation_error,
    response_of,
    unavailable,
)
from ml.api.rates import RateLimiter
from ml.api.settings import Settings
from ml.events.ports import StoreUnavailableError
from ml.kubernetes import ApiError


def create_app(settings: Settings, ports: Ports, authenticator: Authenticator) -> FastAPI:
    """Return the application; nothing of it is shared with another one in the same process."""
    context = Context(
        settings=settings,
        ports=ports,
        authenticator=authenticator,
        rates=RateLimiter(settings.rates),
        metrics=Metrics(),
    )
    app = FastAPI(
        title="ML platform: experiments",
        openapi_url=f"{BASE_PATH}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            HTTPException: answer_http_error,
            RequestValidationError: answer_validation_error,
            StoreUnavailableError: _answer_unavailable,
            ApiError: _answer_unavailable,
            Exception: answer_unexpected_error,
        },
    )
    app.state.context = context
    app.add_middleware(Surroundings, metrics=context.metrics)
    app.openapi = describe(app, settings.public_host)
    app.include_router(operations.router)
    # The page and what has a name of its own come before `/{name}`.
    app.include_router(build_page_router(PortsSource(context), clock=ports.clock))
    app.include_router(reporting.outcome_router, prefix=BASE_PATH)
    app.include_router(reporting.assignment_router, prefix=BASE_PATH)
    app.include_router(steering.creation_router, prefix=BASE_PATH)
    app.include_router(steering.command_router, prefix=BASE_PATH)
    app.include_router(reading.router, prefix=BASE_PATH)
    if settings.graphiql:
        app.include_router(build_editor_router(), prefix=GRAPHQL_PATH)
    app.include_router(build_graphql_router(), prefix=GRAPHQL_PATH)
    return app


async def _answer_unavailable(request: Request, error: Exception) -> JSONResponse:
    what = "the event store" if isinstance(error, StoreUnavailableError) else "the Kubernetes API"
    refusal = unavailable(f"{what} does not answer")
    return response_of(refusal.problem, request, refusal.headers)
