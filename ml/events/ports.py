"""What the controller and the API need of the event store; `ml.events.store` has it on PostgreSQL, tests in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ml.events.types import AnyEvent, ExperimentEvent
from ml.experiments.ratio import RatioSums


class VersionConflictError(Exception):
    """Somebody else appended to the stream first: read it again and decide anew. Nothing was written."""


class StoreUnavailableError(Exception):
    """The event store cannot be reached or did not answer; whether a write happened is not known."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An event and its place: `position` counts from 1 within its stream without gaps."""

    stream: str
    position: int
    event: AnyEvent


class EventStore(Protocol):
    """Append-only streams with optimistic concurrency."""

    async def append(self, stream: str, expected: int, events: Sequence[AnyEvent]) -> int:
        """Append all events or none, if the stream's last position is `expected` (0: it is empty).

        Returns:
            The stream's new last position.

        Raises:
            VersionConflictError: the stream has another length.
            StoreUnavailableError: no answer.
        """
        ...

    async def read(self, stream: str, after: int = 0) -> Sequence[Stored]:
        """Return the events of a stream after a position, in order.

        Raises:
            StoreUnavailableError: no answer.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class EpochOutcomes:
    """What applications reported about the units that were first seen in one epoch."""

    units: Mapping[str, int]
    """Per arm: units first seen in this epoch."""
    metrics: Mapping[str, Mapping[str, RatioSums]]
    """Per metric and arm: sums over those units."""


@dataclass(frozen=True, kw_only=True)
class OutcomeSums:
    """All epochs of an experiment, by index, and when the newest outcome was observed (seconds since 1970)."""

    epochs: Mapping[int, EpochOutcomes]
    newest_at: float | None


@dataclass(frozen=True, kw_only=True)
class UnitsSeen:
    """How many different users (or requests) the outcomes of a model name, and when the first of them was."""

    units: int
    first_at: float | None


class OutcomeStore(Protocol):
    """The outcomes that applications report, summed as they arrive."""

    async def open_experiment(
        self, experiment: str, model: str, spec: Mapping[str, object], salt: str, started_at: float
    ) -> None:
        """Count outcomes of this model for the experiment from now on. Idempotent. `spec` is the ABTest spec."""
        ...

    async def start_epoch(self, experiment: str, index: int, weights: Mapping[str, int], started_at: float) -> None:
        """From this moment new units belong to this epoch. Idempotent."""
        ...

    async def close_experiment(self, experiment: str, ended_at: float) -> None:
        """Count no more new units; late outcomes of known units still count within the attribution window."""
        ...

    async def sums(self, experiments: Sequence[str]) -> Mapping[str, OutcomeSums]:
        """Return the sums of several experiments in one question.

        Raises:
            StoreUnavailableError: no answer.
        """
        ...

    async def seen(self, model: str, *, by_user: bool, since: float) -> UnitsSeen:
        """Return the units that the outcomes of a model name since a moment, experiments or not.

        Raises:
            StoreUnavailableError: no answer.
        """
        ...


__all__ = [
    "EpochOutcomes",
    "EventStore",
    "ExperimentEvent",
    "OutcomeStore",
    "OutcomeSums",
    "StoreUnavailableError",
    "Stored",
    "UnitsSeen",
    "VersionConflictError",
]
