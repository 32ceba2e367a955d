"""The types of the GraphQL schema; they answer from the projections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import strawberry
from strawberry.scalars import JSON
from strawberry.types import Info

from ml.api.context import Context, context_of
from ml.api.graphql.limits import MAX_PAGE
from ml.api.results import results_for
from ml.contracts.storable import why_not_storable
from ml.events.records import (
    CommandRecord,
    DecisionRecord,
    ExperimentRecord,
    ModelRecord,
    PipelineRun,
)
from ml.events.types import Phase


class InvalidArgumentError(ValueError):
    """An argument is out of range; the message goes to the client."""


def context(info: Info) -> Context:
    """Return what the request is served with."""
    return context_of(info.context["request"])


def check_text(name: str, text: str) -> None:
    """Check an argument that something stored is looked up by.

    Raises:
        InvalidArgumentError: nothing stored can have such a text.
    """
    if found := why_not_storable(text):
        raise InvalidArgumentError(f"{name}={text!r}: allowed is a text without {found}")


def page_size(first: int) -> int:
    """Return the size of a page.

    Raises:
        InvalidArgumentError: it is out of range.
    """
    if not 1 <= first <= MAX_PAGE:
        raise InvalidArgumentError(f"first={first}: allowed is 1 to {MAX_PAGE}")
    return first


@strawberry.type(description="A slot's share of the traffic, out of 1000.")
class SlotWeight:
    """A slot's share of the traffic."""

    slot: str
    weight: int


@strawberry.type(description="A decision with all its evidence.")
class Decision:
    """A decision."""

    position: int
    at: float
    action: str
    reasons: list[str]
    weights: list[SlotWeight]
    sample_ratio_p: float | None
    hash: str
    document: JSON = strawberry.field(description="The whole decision, as it was recorded.")


@strawberry.type(description="What somebody asked for, and what became of it.")
class Command:
    """A command."""

    id: str
    at: float
    action: str
    arm: str | None
    by: str
    why: str
    source: str
    accepted: bool | None
    message: str


@strawberry.type(description="A stretch of time with the same weights.")
class Epoch:
    """An epoch."""

    index: int
    at: float
    weights: list[SlotWeight]


@strawberry.type(description="An experiment on live traffic.")
class Experiment:
    """An experiment."""

    record: strawberry.Private[ExperimentRecord]
    id: strawberry.ID
    name: str
    namespace: str
    model: str
    phase: str
    reason: str
    message: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    winner: str | None
    weights: list[SlotWeight]
    position: int
    created_by: str
    problems: list[str]
    spec: JSON
    plan: JSON

    @strawberry.field(description="What is known at this moment, as REST gives it.")
    async def results(self, info: Info) -> JSON:
        """Return the results."""
        found = await results_for(context(info).ports, self.record)
        return cast("JSON", found.document())

    @strawberry.field(description="Newest first; `before` is a position.")
    async def decisions(self, info: Info, first: int = 20, before: int | None = None) -> list[Decision]:
        """Return decisions."""
        found = await context(info).ports.queries.decisions(
            self.record.id, before=before, limit=page_size(first), newest_first=True
        )
        return [decision_of(record) for record in found]

    @strawberry.field(description="In order.")
    async def commands(self, info: Info) -> list[Command]:
        """Return commands."""
        return [_command(record) for record in await context(info).ports.queries.audit(self.record.id)]

    @strawberry.field(description="In order.")
    async def epochs(self, info: Info) -> list[Epoch]:
        """Return epochs."""
        found = await context(info).ports.queries.epochs(self.record.id)
        return [Epoch(index=epoch.index, at=epoch.at, weights=_weights(epoch.weights.items())) for epoch in found]


@strawberry.type(description="Where the next page begins.")
class PageInfo:
    """Where the next page begins."""

    has_next_page: bool
    end_cursor: str | None


@strawberry.type(description="Some experiments, newest first.")
class ExperimentConnection:
    """A page of experiments."""

    nodes: list[Experiment]
    page_info: PageInfo


@strawberry.type(description="A registered version of a model.")
class ModelVersion:
    """A version."""

    version: int
    run: str
    metrics: JSON
    at: float


@strawberry.type(description="A place where a model is served.")
class Slot:
    """A slot."""

    name: str
    version: int | None = strawberry.field(description="Served there; null if none was seen yet.")
    at: float | None


@strawberry.type(description="A model: its versions, where it is served, what is tried on it.")
class Model:
    """A model."""

    name: str
    champion: int | None
    versions: list[ModelVersion]
    slots: list[Slot]

    @strawberry.field(description="Of this model, newest first.")
    async def experiments(self, info: Info, first: int = 20, after: str | None = None) -> ExperimentConnection:
        """Return experiments."""
        return await experiments_page(info, first=first, after=after, model=self.name)


@strawberry.type(description="A run of a pipeline that ended.")
class Pipeline:
    """A pipeline run."""

    pipeline: str
    run: str
    succeeded: bool
    details: JSON
    at: float


async def experiments_page(
    info: Info,
    *,
    first: int,
    after: str | None,
    model: str | None = None,
    phase: str | None = None,
    active: bool | None = None,
) -> ExperimentConnection:
    """Return a page of experiments.

    Raises:
        InvalidArgumentError: `first` is out of range, `after` is not what a page had, or no model is called so.
    """
    limit = page_size(first)
    check_text("model", model or "")
    try:
        page = await context(info).ports.queries.list_experiments(
            model=model, phase=cast("Phase | None", phase), active=active, limit=limit, cursor=after
        )
    except ValueError as error:
        raise InvalidArgumentError(f"after={after!r}: allowed is endCursor of a page before") from error
    nodes = [experiment_of(record) for record in page.items]
    return ExperimentConnection(
        nodes=nodes, page_info=PageInfo(has_next_page=page.next_cursor is not None, end_cursor=page.next_cursor)
    )


def experiment_of(record: ExperimentRecord) -> Experiment:
    """Return an experiment."""
    return Experiment(
        record=record,
        id=strawberry.ID(record.id),
        name=record.name,
        namespace=record.namespace,
        model=record.model,
        phase=record.phase,
        reason=record.reason,
        message=record.message,
        created_at=record.created_at,
        started_at=record.started_at,
        ended_at=record.ended_at,
        winner=record.winner,
        weights=_weights(record.weights.items()),
        position=record.position,
        created_by=record.by,
        problems=list(record.problems),
        spec=cast("JSON", record.spec),
        plan=cast("JSON", record.plan),
    )


def model_of(record: ModelRecord, declared: Sequence[str]) -> Model:
    """Return a model; its slots are those declared, and those that ever served."""
    seen = {slot.slot: slot for slot in record.slots}
    names = [*declared, *(name for name in seen if name not in declared)]
    return Model(
        name=record.name,
        champion=record.champion,
        versions=[
            ModelVersion(version=item.model_version, run=item.run, metrics=cast("JSON", dict(item.metrics)), at=item.at)
            for item in record.versions
        ],
        slots=[
            Slot(name=name, version=seen[name].model_version, at=seen[name].at)
            if name in seen
            else Slot(name=name, version=None, at=None)
            for name in names
        ],
    )


def decision_of(record: DecisionRecord) -> Decision:
    """Return a decision."""
    return Decision(
        position=record.position,
        at=record.at,
        action=record.action,
        reasons=list(record.reasons),
        weights=_weights(record.weights.items()),
        sample_ratio_p=record.sample_ratio_p,
        hash=record.hash,
        document=cast("JSON", record.decision),
    )


def pipeline_of(record: PipelineRun) -> Pipeline:
    """Return a pipeline run."""
    return Pipeline(
        pipeline=record.pipeline,
        run=record.run,
        succeeded=record.succeeded,
        details=cast("JSON", record.details),
        at=record.at,
    )


def _command(record: CommandRecord) -> Command:
    return Command(
        id=record.command,
        at=record.at,
        action=record.action,
        arm=record.arm,
        by=record.by,
        why=record.why,
        source=record.source,
        accepted=record.accepted,
        message=record.message,
    )


def _weights(items: Iterable[tuple[str, int]]) -> list[SlotWeight]:
    return [SlotWeight(slot=slot, weight=weight) for slot, weight in items]
