"""What the controller does to the outside world, behind interfaces so that every call can be made to fail in tests.

All writes are idempotent: the same call twice has the effect of one. Every method raises `UnavailableError` when the
other side does not answer or answers nonsense; what has happened then is not known and the call is made again at the
next tick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Weights = Mapping[str, int]
"""Per slot, whole numbers that sum to `ml.experiments.specification.TOTAL_WEIGHT`, zeros included."""


class UnavailableError(Exception):
    """Another part of the platform did not answer; the message names it and its answer."""


class TestGoneError(Exception):
    """The `ABTest` object does not exist any more."""


@dataclass(frozen=True, kw_only=True)
class AbTest:
    """An `ABTest` object as the API server has it."""

    uid: str
    name: str
    namespace: str
    generation: int
    resource_version: str
    spec: Mapping[str, Any]
    """As written: camel case, defaults of the CRD filled in, otherwise not checked."""
    status: Mapping[str, Any]
    annotations: Mapping[str, str]
    created_at: float
    """Seconds since 1970, by the API server's clock."""
    deleted: bool = False


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """Copies of requests to one slot, whose answers nobody sees."""

    slot: str
    percent: float


@dataclass(frozen=True, kw_only=True)
class RouteState:
    """How the requests of a model are shared out."""

    weights: Weights
    salt_index: int
    """By which salt users are hashed; see `ml.contracts.experiment_salt`."""
    mirror: Mirror | None = None


@dataclass(frozen=True, kw_only=True)
class SlotState:
    """One slot of a model."""

    slot: str
    ready_pods: int
    serving_version: int | None
    """The version that every ready pod serves; None if they differ or serve nothing."""
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class RequestCounts:
    """Requests that one slot answered in one stretch of time."""

    slot: str
    started_at: float
    ended_at: float
    requests: float
    failed: float
    above: Mapping[int, float]
    """Per latency edge in milliseconds: requests that took longer."""


@dataclass(frozen=True, kw_only=True)
class RequestWindow:
    """What the metrics store knows about a model's requests since a moment, in short consecutive stretches.

    Resets of counters are handled; a stretch without two samples is missing, it is never zero.
    """

    counts: Sequence[RequestCounts]
    newest_at: float | None
    """When the newest sample was taken, by the metrics store's clock; None if there is none."""


@dataclass(frozen=True, kw_only=True)
class RequestTotal:
    """All requests of a model in the last days."""

    requests: float
    seconds: float
    """For how long of that time the metrics store knows of any requests."""


class Tests(Protocol):
    """The `ABTest` objects of the namespace."""

    async def list(self) -> Sequence[AbTest]:
        """Return all of them."""
        ...

    async def write_status(self, test: AbTest, status: Mapping[str, Any]) -> None:
        """Replace the status; nothing else of the object is touched.

        Raises:
            TestGoneError: it does not exist any more.
        """
        ...


class Traffic(Protocol):
    """The split VirtualServices, and what the gateway made of them."""

    async def set_route(self, model: str, route: RouteState) -> None:
        """Write weights, salt and mirror of a model's split; every slot stays listed, in the fixed order."""
        ...

    async def written(self, model: str) -> RouteState | None:
        """Return what the split VirtualService says; None if there is none."""
        ...

    async def in_force(self, model: str) -> RouteState | None:
        """Return what every gateway really has; None if they differ or do not know the model yet."""
        ...


class Slots(Protocol):
    """The slots of the models."""

    async def declared(self) -> Mapping[str, Sequence[str]]:
        """Return each served model's slots, in the fixed order, by the model's registry name (with underscores)."""
        ...

    async def state(self, model: str, slot: str) -> SlotState:
        """Return what a slot serves and whether it may get traffic."""
        ...


class Registry(Protocol):
    """Aliases in the model registry."""

    async def alias(self, model: str, alias: str) -> int | None:
        """Return the version that an alias points to; None if it does not exist."""
        ...

    async def set_alias(self, model: str, alias: str, version: int) -> None:
        """Point an alias to a version."""
        ...

    async def delete_alias(self, model: str, alias: str) -> None:
        """Remove an alias; it is no error if there is none."""
        ...


class Requests(Protocol):
    """Requests as the gateway counted them."""

    async def since(self, moments: Mapping[str, float]) -> Mapping[str, RequestWindow]:
        """Return each model's requests since its moment (seconds since 1970), for all models in few questions."""
        ...

    async def total(self, model: str, seconds: float) -> RequestTotal:
        """Return a model's requests of the last so many seconds; both numbers are 0 where there is nothing."""
        ...
