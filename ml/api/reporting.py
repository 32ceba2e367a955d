"""Routes for applications: which slot a user gets, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request
from pydantic import Field

from ml.api.application_views import (
    AssignmentView,
    OutcomeBatch,
    OutcomeReport,
    OutcomeRequest,
    OutcomeResult,
    OutcomeResults,
)
from ml.api.assigning import assignment_of
from ml.api.context import context_of, principal_of
from ml.api.documentation import needs, refusals, write_refusals
from ml.api.guard import guarded
from ml.api.problems import FieldError, invalid
from ml.api.shapes import Shape, Text
from ml.api.steering import IdempotencyKey
from ml.contracts.abtest import ModelName
from ml.events.counting import Outcome

outcome_router = APIRouter(route_class=guarded("write", "outcomes", writes=True), tags=["applications"])
assignment_router = APIRouter(route_class=guarded("read", "reads"), tags=["applications"])


class AssignmentQuery(Shape):
    """Whose assignment is wanted."""

    model: ModelName
    user_id: Text = Field(description="Value of the header `x-user-id`, or of the cookie `uid`.")


@outcome_router.post(
    "/outcomes",
    responses=write_refusals(),
    openapi_extra=needs("write"),
    summary="Report outcomes",
)
async def report_outcomes(
    request: Request,
    body: Annotated[OutcomeReport, Body()],
    idempotency_key: IdempotencyKey = None,
) -> OutcomeResults:
    """Take one outcome or up to 1,000, all or none, and say what became of each.

    An outcome with an id that was reported before is a duplicate and counts once. Without `slot` the assignment is
    computed from the weights in force, which is impossible where requests are split at random.
    """
    del idempotency_key
    context = context_of(request)
    outcomes = body.outcomes if isinstance(body, OutcomeBatch) else (body,)
    context.rates.spend(principal_of(request).subject, "outcomes", len(outcomes) - 1)
    slots = await context.ports.platform.slots()
    prefix = "/outcomes/{}" if isinstance(body, OutcomeBatch) else ""
    errors = [error for index, item in enumerate(outcomes) for error in _errors(item, prefix.format(index), slots)]
    if errors:
        raise invalid("; ".join(error.detail for error in errors[:3]), errors)
    now = context.ports.clock()
    batch = [
        Outcome(
            id=item.id,
            model=item.model,
            at=now if item.at is None else item.at,
            metric=item.metric,
            value=item.value,
            user_id=item.user_id,
            request_id=item.request_id,
            slot=item.slot,
        )
        for item in outcomes
    ]
    results = await context.ports.outcomes.ingest(batch)
    for result in results:
        context.metrics.outcomes.labels(result.status).inc()
    request.state.audit_details = {"outcomes": len(batch), "first": batch[0].id}
    return OutcomeResults(
        results=tuple(
            OutcomeResult(
                id=result.id,
                status=result.status,
                message=result.message,
                experiment=result.experiment,
            )
            for result in results
        )
    )


def _errors(item: OutcomeRequest, pointer: str, slots: Mapping[str, Sequence[str]]) -> list[FieldError]:
    """Return what is wrong with an outcome beyond its fields' types."""
    found: list[FieldError] = []

    def refuse(name: str, detail: str) -> None:
        found.append(FieldError(pointer=f"{pointer}/{name}", detail=f"{name}{detail}"))

    if item.model not in slots:
        refuse("model", f"={item.model!r}: allowed is one of {', '.join(sorted(slots)) or 'none'}")
    elif item.slot is not None and item.slot not in slots[item.model]:
        refuse("slot", f"={item.slot!r}: allowed is one of {', '.join(slots[item.model])}")
    if item.user_id is None and item.request_id is None:
        refuse("userId", " is missing: allowed is a userId, a requestId or both")
    if item.metric is not None and item.value is None:
        refuse("value", f" is missing: allowed is a number, since there is a metric ({item.metric})")
    if item.metric is None and item.value is not None:
        refuse("metric", " is missing: allowed is the name of a metric, since there is a value")
    return found


@assignment_router.get(
    "/assignments",
    responses=refusals(404),
    openapi_extra=needs("read"),
    summary="Look up which slot a user gets now",
)
async def look_up_assignment(request: Request, query: Annotated[AssignmentQuery, Query()]) -> AssignmentView:
    """Compute the slot as the gateway does."""
    return await assignment_of(context_of(request).ports, query.model, query.user_id)
