"""What one reconcile has seen of the world, and what it may do to it. What could not be seen is None or missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ml.controller.ports import AbTest, RequestWindow, RouteState, SlotState
from ml.events.ports import OutcomeSums
from ml.events.types import CommandIssued, ModelPromoted


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The world around one experiment at one moment. Unknown is never the same as zero, absent or not ready."""

    test: AbTest | None = None
    """None: the `ABTest` does not exist any more."""
    slots_declared: tuple[str, ...] = ()
    """All slots of the model in their fixed order; empty if that is not known."""
    written: RouteState | None = None
    in_force: RouteState | None = None
    slots: Mapping[str, SlotState] = field(default_factory=dict[str, SlotState])
    aliases: Mapping[str, int | None] = field(default_factory=dict[str, "int | None"])
    """By alias; None says that there is none, a missing key that it is not known."""
    promotion_recorded: bool | None = None
    may_decide: bool = False
    """Whether metrics were asked for: once in a tick, so that a decision is made once in it at most."""
    outcomes: OutcomeSums | None = None
    requests: RequestWindow | None = None
    commands: tuple[CommandIssued, ...] = ()
    """From the object's annotation; at most one at a time."""
    epochs_told: int | None = None
    """How many epochs the outcome store was told of by this process; None: not even of the experiment."""
    outcomes_closed: bool = False
    """Whether the outcome store was told of the end by this process."""

    def ready(self, slot: str) -> bool | None:
        """Tell whether a slot may get traffic; None if that is not known.

        A slot that is no longer declared may not, even while its pods are still there: no route can name it.
        """
        if self.undeclared(slot):
            return False
        state = self.slots.get(slot)
        return None if state is None else state.ready_pods > 0

    def version(self, slot: str) -> int | None:
        """Return the version that a ready slot serves; None if there is no such one or it is not known."""
        state = self.slots.get(slot)
        return state.serving_version if state is not None and self.ready(slot) else None

    def undeclared(self, slot: str) -> bool:
        """Tell whether the model is known not to have this slot."""
        return bool(self.slots_declared) and slot not in self.slots_declared


@dataclass(frozen=True, kw_only=True)
class SetRoute:
    """Write the split of the model."""

    route: RouteState


@dataclass(frozen=True, kw_only=True)
class SetAlias:
    """Point an alias to a version."""

    alias: str
    version: int


@dataclass(frozen=True, kw_only=True)
class DeleteAlias:
    """Remove an alias."""

    alias: str


@dataclass(frozen=True, kw_only=True)
class RecordPromotion:
    """Tell the model's stream that a version became the champion."""

    event: ModelPromoted


@dataclass(frozen=True, kw_only=True)
class OpenOutcomes:
    """Count outcomes for the experiment from now on."""

    started_at: float


@dataclass(frozen=True, kw_only=True)
class StartEpoch:
    """Tell the outcome store of new weights."""

    index: int
    weights: Mapping[str, int]
    started_at: float


@dataclass(frozen=True, kw_only=True)
class CloseOutcomes:
    """Count no more new units."""

    ended_at: float


Action = SetRoute | SetAlias | DeleteAlias | RecordPromotion | OpenOutcomes | StartEpoch | CloseOutcomes
"""Something to do outside; every one is idempotent."""
