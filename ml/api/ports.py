"""What the API needs of the platform: each part behind an interface, but for the read side, of which there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ml.controller.daily_units import UnitsMeter
from ml.events.audit import AuditEntry
from ml.events.counting import IngestResult, Outcome
from ml.events.idempotency import Answered, Fresh, InProgress, Mismatch
from ml.events.ports import EventStore, OutcomeSums
from ml.events.queries import Queries


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
    """Everything behind the API."""

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
