"""Routes that change what runs: a new experiment, and commands to running ones."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Request, Response

from ml.api.commands import issue
from ml.api.context import context_of, principal_of
from ml.api.creation import create
from ml.api.documentation import BASE_PATH, needs, write_refusals
from ml.api.guard import guarded
from ml.api.shapes import Text
from ml.api.views import CommandReceipt, CommandRequest, CreatedView, CreateRequest

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same request gives the first answer again.",
    ),
]
creation_router = APIRouter(route_class=guarded("write", "writes", writes=True), tags=["create"])
command_router = APIRouter(route_class=guarded("decide", "writes", writes=True), tags=["steer"])


@creation_router.post(
    "",
    status_code=201,
    responses=write_refusals(),
    openapi_extra=needs("write"),
    summary="Create an experiment",
)
async def create_experiment(
    request: Request, response: Response, body: CreateRequest, idempotency_key: IdempotencyKey = None
) -> CreatedView:
    """Check an experiment as the controller will, and hand it over; what cannot succeed is refused with the numbers."""
    del idempotency_key  # the guard has used it
    context = context_of(request)
    digest = getattr(request.state, "idempotency_digest", "")
    created = await create(
        context.ports, context.settings.namespace, principal_of(request), body, request_digest=digest
    )
    response.headers["location"] = f"{BASE_PATH}/{created.name}"
    return created


@command_router.post(
    "/{name}/{action}",
    status_code=202,
    responses=write_refusals(404, 412),
    openapi_extra=needs("decide"),
    summary="Pause, resume, stop, approve, promote or roll back an experiment",
)
async def command_experiment(
    request: Request,
    name: Text,
    action: Literal["pause", "resume", "stop", "approve", "promote", "rollback"],
    body: CommandRequest,
    if_match: Annotated[str | None, Header(max_length=2000)] = None,
    idempotency_key: IdempotencyKey = None,
) -> CommandReceipt:
    """Record what is wanted and why; the controller carries it out within a reconcile, or says why not."""
    del idempotency_key
    context = context_of(request)
    receipt = await issue(
        context.ports,
        principal_of(request),
        context.settings.namespace,
        name,
        action,
        why=body.why,
        arm=body.arm,
        if_match=if_match,
        command_id=getattr(request.state, "idempotency_digest", None),
    )
    context.metrics.commands.labels(action).inc()
    request.state.audit_details = {"command": receipt.command, "arm": body.arm}
    return receipt
