"""The GraphQL schema: questions and a subscription; what changes something is REST's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Final, get_args

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaskErrors, MaxAliasesLimiter, MaxTokensLimiter, SchemaExtension
from strawberry.types import ExecutionContext, Info
from strawberry.types.graphql import OperationType

from ml.api.context import context_of, principal_of
from ml.api.graphql.limits import MAX_ALIASES, MAX_TOKENS, SizeLimit
from ml.api.graphql.types import (
    Experiment,
    ExperimentConnection,
    InvalidArgumentError,
    Model,
    Pipeline,
    check_text,
    context,
    experiment_of,
    experiments_page,
    model_of,
    page_size,
    pipeline_of,
)
from ml.api.problems import ProblemError
from ml.api.rates import TooManyHeldError
from ml.events.ports import StoreUnavailableError
from ml.events.records import ExperimentRecord, ModelRecord
from ml.events.types import FINAL_PHASES, Phase, experiment_stream
from ml.kubernetes import ApiError

LONGEST_SUBSCRIPTION_SECONDS: Final = 3600.0
"""Then the client subscribes anew, with a token that is still good."""
_LOOK_AGAIN_SECONDS: Final = 5.0
"""Outcomes change sums without an event."""
_SETTLE_SECONDS: Final = 0.2
"""The projection follows the stream within moments."""


@strawberry.type
class Query:
    """What can be asked."""

    @strawberry.field(description="All registered models.")
    async def models(self, info: Info) -> list[Model]:
        """Return all models."""
        ports = context(info).ports
        declared = await ports.platform.slots()
        known = {record.name: record for record in await ports.queries.models()}
        names = sorted({*known, *declared})
        return [
            model_of(known.get(name) or ModelRecord(name=name, champion=None), declared.get(name, ())) for name in names
        ]

    @strawberry.field(description="One model; null if there is none of that name.")
    async def model(self, info: Info, name: str) -> Model | None:
        """Return one model."""
        ports = context(info).ports
        check_text("name", name)
        declared = await ports.platform.slots()
        record = await ports.queries.model(name)
        if record is None and name not in declared:
            return None
        return model_of(record or ModelRecord(name=name, champion=None), declared.get(name, ()))

    @strawberry.field(description="Experiments, newest first.")
    async def experiments(
        self,
        info: Info,
        first: int = 20,
        after: str | None = None,
        model: str | None = None,
        phase: str | None = None,
        active: bool | None = None,
    ) -> ExperimentConnection:
        """Return a page of experiments."""
        if phase is not None and phase not in get_args(Phase):
            raise InvalidArgumentError(f"phase={phase!r}: allowed is one of {', '.join(get_args(Phase))}")
        return await experiments_page(info, first=first, after=after, model=model, phase=phase, active=active)

    @strawberry.field(description="One experiment by its name (the newest of that name) or id.")
    async def experiment(self, info: Info, name: str) -> Experiment | None:
        """Return one experiment."""
        record = await _find(info, name)
        return None if record is None else experiment_of(record)

    @strawberry.field(description="Runs that ended, newest first.")
    async def pipelines(self, info: Info, first: int = 20) -> list[Pipeline]:
        """Return pipeline runs."""
        return [pipeline_of(run) for run in await context(info).ports.queries.pipelines(page_size(first))]


@strawberry.type
class Subscription:
    """What can be followed."""

    @strawberry.subscription(description="An experiment whenever something about it is new, until it is over.")
    async def experiment_changes(self, info: Info, name: str) -> AsyncGenerator[Experiment, None]:
        """Yield the experiment now and after every change."""
        parts = context(info)
        record = await _find(info, name)
        if record is None:
            raise InvalidArgumentError(f"there is no experiment {name!r}")
        ends_at = time.monotonic() + LONGEST_SUBSCRIPTION_SECONDS
        shown: tuple[int, float | None] | None = None
        subject = principal_of(info.context["request"]).subject
        with parts.subscriptions.held(subject), parts.metrics.subscriptions.track_inprogress():
            while True:
                sums = (await parts.ports.outcomes.sums([record.id])).get(record.id)
                state = (record.position, sums.newest_at if sums else None)
                if state != shown:
                    shown = state
                    yield experiment_of(record)
                if record.phase in FINAL_PHASES or time.monotonic() > ends_at:
                    return
                if await parts.ports.changes.wait(experiment_stream(record.id), _LOOK_AGAIN_SECONDS):
                    await asyncio.sleep(_SETTLE_SECONDS)
                record = await parts.ports.queries.experiment(record.id) or record


async def _find(info: Info, name: str) -> ExperimentRecord | None:
    parts = context(info)
    check_text("name", name)
    record = await parts.ports.queries.experiment(name, parts.settings.namespace)
    return record if record is not None and record.namespace == parts.settings.namespace else None


def _is_ours(error: GraphQLError) -> bool:
    """Tell whether an error is a fault of this program, whose details are not for clients."""
    return error.original_error is not None and not isinstance(
        error.original_error, InvalidArgumentError | TooManyHeldError | GraphQLError
    )


def _is_unavailable(error: GraphQLError) -> bool:
    return isinstance(error.original_error, StoreUnavailableError | ApiError)


class MaskedErrors(MaskErrors):
    """Tells clients what they can do something about, and of the rest only whether to try again."""

    def __init__(self) -> None:
        super().__init__(should_mask_error=_is_ours)

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        """Return what a client may know of an error."""
        masked = super().anonymise_error(error)
        masked.message = (
            "another part of the platform does not answer; try again"
            if _is_unavailable(error)
            else "this is a fault of the platform"
        )
        return masked


class OverWebSocketsOnly(SchemaExtension):
    """Refuses subscriptions over plain HTTP, which has no way to answer more than once here."""

    def on_execute(self) -> Iterator[None]:
        """Look at an operation before it is done."""
        context = self.execution_context
        over_http = context.context["request"].scope["type"] == "http"
        if over_http and context.operation_type is OperationType.SUBSCRIPTION:
            raise GraphQLError("subscriptions are answered over WebSockets (graphql-transport-ws)")
        yield


class RatePerOperation(SchemaExtension):
    """Counts each operation on a WebSocket like a request: the guard has seen nothing but the connection."""

    def on_operation(self) -> Iterator[None]:
        """Take from the client's bucket; an empty one is an error in the place of an answer."""
        connection = self.execution_context.context["request"]
        if connection.scope["type"] == "websocket":
            try:
                context_of(connection).rates.spend(principal_of(connection).subject, "reads")
            except ProblemError as error:
                self.execution_context.pre_execution_errors = [GraphQLError(error.problem.detail)]
        yield


class QuietSchema(strawberry.Schema):
    """Logs faults of this program only; what clients do wrong, they are told."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log errors."""
        ours = [error for error in errors if _is_ours(error)]
        if ours:
            super().process_errors(ours, execution_context)


def build_schema() -> strawberry.Schema:
    """Return the schema with its limits."""
    return QuietSchema(
        query=Query,
        subscription=Subscription,
        extensions=[
            SizeLimit,
            lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
            lambda: MaxAliasesLimiter(max_alias_count=MAX_ALIASES),
            MaskedErrors,
            OverWebSocketsOnly,
            RatePerOperation,
        ],
    )
