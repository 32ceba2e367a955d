"""Looking at the world through the ports, and acting on it. A port that does not answer leaves a gap, never a guess."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from ml.contracts import experiment_salt
from ml.contracts.abtest import write_spec
from ml.controller.commands import InvalidCommandError, new_command, read_command
from ml.controller.observation import (
    Action,
    CloseOutcomes,
    DeleteAlias,
    Observation,
    OpenOutcomes,
    RecordPromotion,
    SetAlias,
    SetRoute,
    StartEpoch,
)
from ml.controller.ports import (
    AbTest,
    Registry,
    Requests,
    RequestWindow,
    Slots,
    SlotState,
    Tests,
    Traffic,
    UnavailableError,
)
from ml.controller.sequences import PROMOTION_RECORDED_STEP, aliases_needed, next_step
from ml.controller.state import ExperimentState
from ml.events.ports import EventStore, OutcomeStore, OutcomeSums, StoreUnavailableError
from ml.events.types import CommandIssued, ModelPromoted, model_stream

LOG: Final = logging.getLogger(__name__)
_T = TypeVar("_T")


class ExperimentIndex(Protocol):
    """Finds experiments without their `ABTest` objects."""

    async def unfinished(self) -> Sequence[str]:
        """Return the ids of experiments that were admitted and have not ended."""
        ...


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Everything outside."""

    tests: Tests
    traffic: Traffic
    slots: Slots
    registry: Registry
    requests: Requests
    events: EventStore
    outcomes: OutcomeStore


@dataclass
class Trouble:
    """What did not work in one reconcile: the first failure is told, all are logged."""

    name: str
    port: str = ""
    message: str = ""

    def note(self, port: str, error: Exception) -> None:
        """Remember a failure."""
        LOG.warning("%s: %s: %s", self.name, port, error)
        if not self.port:
            self.port, self.message = port, str(error) or type(error).__name__


@dataclass
class Told:
    """What this process has told the outcome store; forgotten with the process, since all of it may be told again."""

    epochs: int | None = None
    closed: bool = False


@dataclass(frozen=True)
class Failure:
    """An answer that makes no sense, and whose it was."""

    port: str
    error: Exception


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the metric sources said in this tick, for the experiments whose decision is due."""

    outcomes: Mapping[str, OutcomeSums] = field(default_factory=dict[str, OutcomeSums])
    """By experiment."""
    requests: Mapping[str, RequestWindow] = field(default_factory=dict[str, RequestWindow])
    """By model."""
    asked: frozenset[str] = frozenset()
    """The experiments that were asked about."""
    failures: Mapping[str, Failure] = field(default_factory=dict[str, Failure])
    """By experiment: what could not be read of it, though the source answered."""


async def attempt(port: str, call: Awaitable[_T], trouble: Trouble) -> _T | None:
    """Return the answer of a port, or None with the failure noted."""
    try:
        return await call
    except (UnavailableError, StoreUnavailableError) as error:
        trouble.note(port, error)
        return None


async def observe(
    ports: Ports,
    state: ExperimentState,
    test: AbTest | None,
    told: Told,
    declared: Mapping[str, tuple[str, ...]],
    measured: Measured | None,
    trouble: Trouble,
    now: float,
) -> Observation:
    """Look at everything that the experiment's next step may depend on; without measurements none is a decision."""
    commands = _commands(state, test, trouble, now)
    if not state.is_running:
        return Observation(test=test, commands=commands)
    promised = state.promised
    slots: dict[str, SlotState] = {}
    for arm in state.specification.arms:
        found = await attempt("slots", ports.slots.state(promised.model, arm), trouble)
        if found is not None:
            slots[arm] = found
    aliases: dict[str, int | None] = {}
    for alias in aliases_needed(state):
        try:
            aliases[alias] = await ports.registry.alias(promised.model, alias)
        except UnavailableError as error:
            trouble.note("registry", error)
    return Observation(
        test=test,
        slots_declared=declared.get(promised.model, ()),
        written=await attempt("traffic", ports.traffic.written(promised.model), trouble),
        in_force=await attempt("traffic", ports.traffic.in_force(promised.model), trouble),
        slots=slots,
        aliases=aliases,
        promotion_recorded=await _promotion_recorded(ports, state, trouble),
        may_decide=measured is not None,
        outcomes=measured.outcomes.get(promised.experiment) if measured is not None else None,
        requests=measured.requests.get(promised.model) if measured is not None else None,
        commands=commands,
        epochs_told=told.epochs,
        outcomes_closed=told.closed,
    )


async def perform(ports: Ports, state: ExperimentState, action: Action, told: Told) -> str:
    """Do one thing outside.

    Returns:
        The port that was used.

    Raises:
        UnavailableError: as the ports; whether it happened is not known.
        StoreUnavailableError: likewise.
    """
    promised = state.promised
    match action:
        case SetRoute(route=route):
            await ports.traffic.set_route(promised.model, route)
        case SetAlias(alias=alias, version=version):
            await ports.registry.set_alias(promised.model, alias, version)
        case DeleteAlias(alias=alias):
            await ports.registry.delete_alias(promised.model, alias)
        case RecordPromotion(event=event):
            await _record_promotion(ports, event)
        case OpenOutcomes(started_at=started_at):
            salt = experiment_salt(promised.model, promised.salt_index)
            spec = write_spec(promised.spec)
            await ports.outcomes.open_experiment(promised.experiment, promised.model, spec, salt, started_at)
            told.epochs = 0
        case StartEpoch(index=index, weights=weights, started_at=started_at):
            await ports.outcomes.start_epoch(promised.experiment, index, weights, started_at)
            told.epochs = index + 1
        case CloseOutcomes(ended_at=ended_at):
            await ports.outcomes.close_experiment(promised.experiment, ended_at)
            told.closed = True
    return port_of(action)


def port_of(action: Action) -> str:
    """Return the port that an action goes through."""
    match action:
        case SetRoute():
            return "traffic"
        case SetAlias() | DeleteAlias():
            return "registry"
        case RecordPromotion():
            return "events"
        case _:
            return "outcomes"


def _commands(state: ExperimentState, test: AbTest | None, trouble: Trouble, now: float) -> tuple[CommandIssued, ...]:
    if test is None:
        return ()
    try:
        command = new_command(state, read_command(test.annotations, now))
    except InvalidCommandError as error:
        trouble.note("tests", error)
        return ()
    return () if command is None else (command,)


async def _promotion_recorded(ports: Ports, state: ExperimentState, trouble: Trouble) -> bool | None:
    if state.sequence is None or next_step(state.sequence) != PROMOTION_RECORDED_STEP:
        return None
    promised = state.promised
    stored = await attempt("events", ports.events.read(model_stream(promised.model)), trouble)
    if stored is None:
        return None
    events = (item.event for item in stored)
    return any(isinstance(event, ModelPromoted) and event.experiment == promised.experiment for event in events)


async def _record_promotion(ports: Ports, event: ModelPromoted) -> None:
    stream = model_stream(event.model)
    stored = await ports.events.read(stream)
    # Whoever appended in between makes this a conflict, and the next reconcile looks again.
    if not any(isinstance(s.event, ModelPromoted) and s.event.experiment == event.experiment for s in stored):
        await ports.events.append(stream, stored[-1].position if stored else 0, [event])
