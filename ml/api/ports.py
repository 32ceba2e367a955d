"""What the API needs of the platform, each part behind an interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ml.controller.daily_units import UnitsMeter
from ml.events.audit import AuditEntry
from ml.events.counting import IngestResult, Outcome
from ml.events.idempotency import Answered, Fresh, InProgress, Mismatch
from ml.events.ports import EventStore, OutcomeSums, Stored
from ml.events.records import (
    CommandRecord,
    DecisionRecord,
    EpochView,
    ExperimentRecord,
    ModelRecord,
    Page,
    PipelineRun,
)
from ml.events.types import Phase


class Queries(Protocol):
    """The read side; `ml.events.queries` has it on PostgreSQL."""

    async def list_experiments(
        self,
        *,
        model: str | None = None,
        phase: Phase | None = None,
        name_prefix: str | None = None,
        active: bool | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ExperimentRecord]:
        """Return experiments, newest first; ValueError for a bad cursor."""
        ...

    async def experiment(self, name_or_id: str, namespace: str | None = None) -> ExperimentRecord | None:
        """Return an experiment; by name the newest."""
        ...

    async def active_experiment(self, model: str) -> ExperimentRecord | None:
        """Return the experiment that shares out a model's users now."""
        ...

    async def history(self, experiment: str, after: int = 0, limit: int = 1000) -> Sequence[Stored]:
        """Return events of an experiment, in order."""
        ...

    async def decisions(
        self,
        experiment: str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> Sequence[DecisionRecord]:
        """Return decisions of an experiment between two positions."""
        ...

    async def timeline(self, experiment: str, points: int = 300) -> Sequence[DecisionRecord]:
        """Return so many decisions of an experiment, spread evenly, first and newest among them."""
        ...

    async def epochs(self, experiment: str) -> Sequence[EpochView]:
        """Return the stretches of equal weights of an experiment."""
        ...

    async def audit(self, experiment: str) -> Sequence[CommandRecord]:
        """Return what people asked of an experiment."""
        ...

    async def models(self) -> Sequence[ModelRecord]:
        """Return all models."""
        ...

    async def model(self, name: str) -> ModelRecord | None:
        """Return one model."""
        ...

    async def pipelines(self, limit: int = 100) -> Sequence[PipelineRun]:
        """Return the newest pipeline runs."""
        ...

    async def ping(self) -> bool:
        """Return whether the database has this version's schema; `StoreUnavailableError` if it does not answer."""
        ...


class Outcomes(Protocol):
    """Takes what applications report, and sums it."""

    async def sums(self, experiments: Sequence[str]) -> Mapping[str, OutcomeSums]:
        """Return the sums of several experiments."""
        ...

    async def ingest(self, outcomes: Sequence[Outcome]) -> Sequence[IngestResult]:
        """Store outcomes and say what became of each, in the order given."""
        ...


class Idempotency(Protocol):
    """Remembers the answers to requests with a key."""

    async def begin(self, scope: str, key: str, request_hash: str) -> Fresh | Answered | Mismatch | InProgress:
        """Begin a request, or say what became of it before."""
        ...

    async def finish(self, scope: str, key: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Keep the answer."""
        ...

    async def forget(self, scope: str, key: str) -> None:
        """Let the request be made again."""
        ...


class Audit(Protocol):
    """Who did what, and why."""

    async def record(self, entry: AuditEntry) -> None:
        """Append an entry."""
        ...


class AbTests(Protocol):
    """The `ABTest` objects; `ml.kubernetes.Resources` has them at the API server."""

    async def get(self, name: str) -> dict[str, Any] | None:
        """Return an object."""
        ...

    async def create(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Make a new object."""
        ...


class Platform(Protocol):
    """What is declared in the cluster."""

    async def slots(self) -> Mapping[str, Sequence[str]]:
        """Return the slots of each served model, in the gateway's order."""
        ...


class Changes(Protocol):
    """Tells when streams grow."""

    async def wait(self, stream: str, timeout_seconds: float) -> bool:
        """Return when a stream has grown, or after a while; tell which."""
        ...


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Everything behind the API, each part behind an interface."""

    events: EventStore
    queries: Queries
    outcomes: Outcomes
    idempotency: Idempotency
    audit: Audit
    tests: AbTests
    platform: Platform
    changes: Changes
    meter: UnitsMeter
    """Measures a model's traffic for admission."""
    clock: Callable[[], float]
