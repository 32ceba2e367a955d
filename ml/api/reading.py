"""Routes that read experiments: projections out, nothing changes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import Field

from ml.api.commands import etag_of
from ml.api.context import Context, context_of
from ml.api.documentation import needs, refusals
from ml.api.guard import guarded
from ml.api.problems import FieldError, invalid, not_found
from ml.api.results import results_for
from ml.api.shapes import Shape, Text
from ml.api.views import (
    CommandPage,
    CommandView,
    DecisionPage,
    ExperimentDetail,
    ExperimentPage,
    ExperimentSummary,
    HistoryPage,
    decision_head,
    detail_of,
    summary_fields,
)
from ml.contracts.abtest import ModelName
from ml.events.records import ExperimentRecord
from ml.events.types import Phase, experiment_stream
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
    limit: int = Field(default=100, ge=1, le=_MOST_EVENTS, description="At most so many; fewer if they are large.")


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
            documents=False,
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
    response_model=HistoryPage,
)
async def read_history(request: Request, name: Text, query: Annotated[AfterQuery, Query()]) -> Response:
    """Return events in order; a decision in them holds what changed in its inputs since the one before."""
    context = context_of(request)
    record = await find(context, name)
    found = await context.ports.queries.history(record.id, after=query.after, limit=query.limit)
    stream = experiment_stream(record.id)
    items = (_with({"stream": stream, "position": item.position}, "event", item.text) for item in found.items)
    return _sequence(items, found.next_after)


@router.get(
    "/{name}/decisions",
    responses=refusals(404),
    openapi_extra=needs("read"),
    summary="Read the decisions of an experiment with their evidence",
    response_model=DecisionPage,
)
async def read_decisions(request: Request, name: Text, query: Annotated[AfterQuery, Query()]) -> Response:
    """Return decisions in order."""
    context = context_of(request)
    record = await find(context, name)
    limit = min(query.limit, _MOST_DECISIONS)
    found = await context.ports.queries.decision_texts(record.id, after=query.after, limit=limit)
    return _sequence((_with(decision_head(item), "decision", item.text) for item in found.items), found.next_after)


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


# What is stored as JSON is passed on as it is: to take it apart and put it together again would be most of the work.
def _with(fields: Mapping[str, Any], name: str, text: str) -> str:
    """Return an object with one more field, whose JSON is there already."""
    return f'{json.dumps(fields)[:-1]},"{name}":{text}}}'


def _sequence(items: Iterable[str], next_after: int | None) -> Response:
    text = f'{{"items":[{",".join(items)}],"nextAfter":{json.dumps(next_after)}}}'
    return Response(text, media_type="application/json")
