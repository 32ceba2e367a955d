"""Routes that read experiments: projections out, nothing changes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import Field

from ml.api.commands import etag_of
from ml.api.context import Context, context_of
from ml.api.documentation import needs, refusals
from ml.api.guard import guarded
from ml.api.problems import FieldError, invalid, not_found
from ml.api.results import results_for
from ml.api.views import (
    CommandPage,
    CommandView,
    DecisionPage,
    ExperimentDetail,
    ExperimentPage,
    ExperimentSummary,
    HistoryPage,
    Shape,
    StoredEvent,
    Text,
    decision_of,
    detail_of,
    summary_fields,
)
from ml.contracts.abtest import ModelName
from ml.events.records import ExperimentRecord
from ml.events.types import Phase
from ml.reporting.experiment.results import ExperimentResults

_MOST_EVENTS = 1000
_MOST_DECISIONS = 200
router = APIRouter(route_class=guarded("read", "reads"), tags=["read"])
_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "It is as the client has it."}}


class ListQuery(Shape):
    """Which experiments are wanted."""

    model: ModelName | None = None
    phase: Phase | None = None
    name: str | None = Field(default=None, max_length=63, description="Beginning of the name.")
    active: bool | None = Field(default=None, description="Only those that are not over, or only those that are.")
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=500, description="`nextCursor` of the page before.")


class AfterQuery(Shape):
    """Which part of a sequence is wanted."""

    after: int = Field(default=0, ge=0, le=2**53, description="Position after which to begin.")
    limit: int = Field(default=100, ge=1, le=_MOST_EVENTS)


async def find(context: Context, name: str) -> ExperimentRecord:
    """Return an experiment of this API's namespace by its name or id.

    Raises:
        ProblemError: 404.
    """
    record = await context.ports.queries.experiment(name, context.settings.namespace)
    if record is None or record.namespace != context.settings.namespace:
        raise not_found("experiment", name)
    return record


@router.get("", responses=refusals(), openapi_extra=needs("read"), summary="List experiments, newest first")
async def list_experiments(request: Request, query: Annotated[ListQuery, Query()]) -> ExperimentPage:
    """Return a page of experiments."""
    try:
        page = await context_of(request).ports.queries.list_experiments(
            model=query.model,
            phase=query.phase,
            name_prefix=query.name,
            active=query.active,
            limit=query.limit,
            cursor=query.cursor,
        )
    except ValueError as error:
        detail = f"cursor={query.cursor!r}: allowed is nextCursor of a page before"
        raise invalid(detail, [FieldError(pointer="query/cursor", detail=detail)]) from error
    items = tuple(ExperimentSummary(**summary_fields(record)) for record in page.items)
    return ExperimentPage(items=items, next_cursor=page.next_cursor)


@router.get(
    "/{name}",
    responses={**_NOT_MODIFIED, **refusals(404)},
    openapi_extra=needs("read"),
    summary="Show an experiment",
    response_model=ExperimentDetail,
)
async def show_experiment(
    request: Request,
    response: Response,
    name: Text,
    if_none_match: Annotated[str | None, Header(max_length=2000)] = None,
) -> ExperimentDetail | Response:
    """Return an experiment by its name (the newest of that name) or its id."""
    record = await find(context_of(request), name)
    etag = etag_of(record)
    headers = {"etag": etag, "cache-control": "private, no-cache"}
    if if_none_match is not None and etag in {part.strip().removeprefix("W/") for part in if_none_match.split(",")}:
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return detail_of(record)


@router.get(
    "/{name}/history",
    responses=refusals(404),
    openapi_extra=needs("read"),
    summary="Read the events of an experiment",
)
async def read_history(request: Request, name: Text, query: Annotated[AfterQuery, Query()]) -> HistoryPage:
    """Return events in order; a decision in them holds what changed in its inputs since the one before."""
    context = context_of(request)
    record = await find(context, name)
    stored = await context.ports.queries.history(record.id, after=query.after, limit=query.limit)
    items = tuple(
        StoredEvent(stream=item.stream, position=item.position, event=item.event.model_dump(mode="json"))
        for item in stored
    )
    return HistoryPage(items=items, next_after=items[-1].position if len(items) == query.limit else None)


@router.get(
    "/{name}/decisions",
    responses=refusals(404),
    openapi_extra=needs("read"),
    summary="Read the decisions of an experiment with their evidence",
)
async def read_decisions(request: Request, name: Text, query: Annotated[AfterQuery, Query()]) -> DecisionPage:
    """Return decisions in order."""
    context = context_of(request)
    record = await find(context, name)
    limit = min(query.limit, _MOST_DECISIONS)
    found = await context.ports.queries.decisions(record.id, after=query.after, limit=limit)
    items = tuple(decision_of(item) for item in found)
    return DecisionPage(items=items, next_after=items[-1].position if len(items) == limit else None)


@router.get(
    "/{name}/commands",
    responses=refusals(404),
    openapi_extra=needs("read"),
    summary="Read who asked what of an experiment, and why",
)
async def read_commands(request: Request, name: Text) -> CommandPage:
    """Return commands in order, with what became of each."""
    context = context_of(request)
    record = await find(context, name)
    items = tuple(
        CommandView(
            command=item.command,
            position=item.position,
            at=item.at,
            action=item.action,
            arm=item.arm,
            by=item.by,
            why=item.why,
            source=item.source,
            accepted=item.accepted,
            message=item.message,
        )
        for item in await context.ports.queries.audit(record.id)
    )
    return CommandPage(items=items)


@router.get(
    "/{name}/results",
    responses=refusals(404),
    openapi_extra=needs("read"),
    summary="Read what is known of an experiment at this moment",
)
async def read_results(request: Request, name: Text) -> ExperimentResults:
    """Return intervals per metric and arm, sample ratio, guardrails, samples against the plan, and the way there."""
    context = context_of(request)
    return await results_for(context.ports, await find(context, name))
