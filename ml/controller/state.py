"""Where an experiment stands; `ml.controller.fold` says how its events led there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ml.contracts.abtest import AbTestSpec
from ml.events.decisions import Chain
from ml.events.types import FINAL_PHASES, CommandIssued, Phase
from ml.experiments.history import LookRecord
from ml.experiments.specification import ExperimentSpec

ACTIVE_PHASES: Final[frozenset[Phase]] = frozenset({"Ramping", "Running", "HoldNoData", "AwaitingApproval"})
"""Phases in which users see the treatments and decisions are taken."""
SPEC_COMMAND: Final = "spec-"
"""Begin of the ids of commands that stand for a change of `spec.paused`."""


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What was fixed at admission."""

    experiment: str
    name: str
    namespace: str
    model: str
    spec: AbTestSpec
    specification: ExperimentSpec
    plan: Mapping[str, Any]
    salt_index: int
    by: str
    at: float


@dataclass(frozen=True, kw_only=True)
class EpochState:
    """Weights that the gateway was seen to have, and since when.

    All weights 0 say that they are changing: from just before new ones are written until they are seen in force. Who
    comes in that time counts nowhere, since nobody can say by which weights they were assigned.
    """

    at: float
    weights: Mapping[str, int]

    @property
    def is_changing(self) -> bool:
        """Whether the weights were not known in this time."""
        return not any(self.weights.values())


@dataclass(frozen=True, kw_only=True)
class SequenceState:
    """A promotion or a rollback under way."""

    kind: Literal["promote", "rollback"]
    arm: str | None
    outcome: Phase
    details: Mapping[str, Any]
    at: float
    done: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ExperimentState:
    """Where an experiment stands after some events."""

    promise: Promise | None = None
    refused: tuple[str, ...] = ()
    phase: Phase = "Pending"
    phase_at: float = 0.0
    reason: str = ""
    message: str = ""
    epochs: tuple[EpochState, ...] = ()
    target: Mapping[str, int] = field(default_factory=dict[str, int])
    """Weights to aim at while the treatments are seen by users; the specification's, control first."""
    dropped: tuple[str, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict[str, int])
    """Per arm, the version that is measured."""
    looks: tuple[LookRecord, ...] = ()
    chain: Chain = field(default_factory=Chain)
    cursors: Mapping[str, Any] = field(default_factory=dict[str, Any])
    decision: Mapping[str, Any] = field(default_factory=dict[str, Any])
    decision_at: float | None = None
    better_arm: str | None = None
    """The arm that the newest decisions would promote; a hold does not take that back."""
    known_commands: Mapping[str, CommandIssued] = field(default_factory=dict[str, CommandIssued])
    """By id; the first with an id is the one that counts."""
    pending: tuple[CommandIssued, ...] = ()
    paused_by: Literal["", "spec", "command"] = ""
    sequence: SequenceState | None = None
    last_at: float = 0.0

    @property
    def promised(self) -> Promise:
        """What was fixed at admission.

        Raises:
            LookupError: the experiment has not been admitted.
        """
        if self.promise is None:
            raise LookupError("the experiment has not been admitted")
        return self.promise

    @property
    def spec(self) -> AbTestSpec:
        """What was asked for."""
        return self.promised.spec

    @property
    def specification(self) -> ExperimentSpec:
        """The rule by which it is decided."""
        return self.promised.specification

    @property
    def is_final(self) -> bool:
        """Whether nothing will happen any more."""
        return self.phase in FINAL_PHASES

    @property
    def is_running(self) -> bool:
        """Whether it has been admitted and has not ended."""
        return self.promise is not None and not self.is_final

    @property
    def settled_epochs(self) -> Mapping[int, EpochState]:
        """By index, the epochs in which the weights were known."""
        return {index: epoch for index, epoch in enumerate(self.epochs) if not epoch.is_changing}

    @property
    def started_at(self) -> float | None:
        """When the gateway first had weight on a treatment."""
        return self.epochs[0].at if self.epochs else None

    @property
    def ended_at(self) -> float | None:
        """When the final phase was entered."""
        return self.phase_at if self.is_final and self.promise is not None else None

    @property
    def winner(self) -> str | None:
        """The promoted arm."""
        return self.sequence.arm if self.phase == "Promoted" and self.sequence is not None else None

    @property
    def active(self) -> tuple[str, ...]:
        """Treatments that have not been dropped."""
        return tuple(arm for arm in self.specification.treatments if arm not in self.dropped)
