"""Routes for Kubernetes and Prometheus; not for clients, and not reachable through the gateway."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ml.api.context import context_of
from ml.events.ports import StoreUnavailableError

_LAG_SECONDS: Final = 1.0
router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> PlainTextResponse:
    """Say that the process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def readyz(request: Request) -> PlainTextResponse:
    """Say whether questions can be answered."""
    try:
        ready = await context_of(request).ports.queries.ping()
    except StoreUnavailableError as error:
        return PlainTextResponse(f"{error}\n", status_code=503)
    return PlainTextResponse("ok\n") if ready else PlainTextResponse("the schema is older\n", status_code=503)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Return what Prometheus collects; how far read models are behind only if the database says so soon."""
    context = context_of(request)
    context.metrics.projection_lag.clear()
    # Not part of being ready: read models that stand still do so for every pod, and what they know can still be read.
    with contextlib.suppress(StoreUnavailableError, TimeoutError):
        async with asyncio.timeout(_LAG_SECONDS):
            if await context.ports.queries.ping():
                for name, events in (await context.ports.queries.lag()).items():
                    context.metrics.projection_lag.labels(name).set(events)
    return Response(generate_latest(context.metrics.registry), media_type=CONTENT_TYPE_LATEST)
