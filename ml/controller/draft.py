"""A step of an experiment in the making: what was seen, the events so far, and the state that they lead to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.controller.fold import apply
from ml.controller.observation import Observation
from ml.controller.state import ExperimentState
from ml.events.types import ExperimentEvent, Phase, PhaseEntered, SequenceStarted


class Draft:
    """Every event is applied at once, so that the next question sees it."""

    def __init__(self, state: ExperimentState, observation: Observation, now: float) -> None:
        self.state = state
        self.events: list[ExperimentEvent] = []
        self.seen = observation
        # Another controller's clock may have been ahead; within a stream time never runs backwards.
        self.now = max(now, state.last_at)

    def add(self, event: ExperimentEvent) -> None:
        """Append an event."""
        self.events.append(event)
        self.state = apply(self.state, event)

    def enter(self, phase: Phase, reason: str, message: str = "") -> None:
        """Enter a phase; nothing if the experiment is in it for this reason already."""
        if (self.state.phase, self.state.reason) != (phase, reason):
            self.add(PhaseEntered(at=self.now, phase=phase, reason=reason, message=message))

    def give_back(self, outcome: Phase, reason: str, message: str, more: Mapping[str, Any] | None = None) -> None:
        """Begin to send all traffic to control."""
        versions: dict[str, Any] = {}
        if self.state.sequence is not None:
            versions.update(self.state.sequence.details.get("versions", {}))
        versions.update(self.state.versions)
        details: dict[str, Any] = {"reason": reason, "message": message, "versions": versions, **(more or {})}
        self.add(SequenceStarted(at=self.now, sequence="rollback", arm=None, outcome=outcome, details=details))
        self.enter("RollingBack", reason, message)

    def promote(self, arm: str, reason: str, message: str, more: Mapping[str, Any] | None = None) -> None:
        """Begin to promote an arm, if it is ready with the version that was measured; else a later reconcile will."""
        version = self.seen.version(arm)
        control = self.state.specification.control
        if version is None or version != self.state.versions.get(arm, version):
            return
        details = {
            "reason": reason,
            "message": message,
            "version": version,
            "previous_version": self.state.versions.get(control, self.seen.version(control)),
            "versions": {**self.state.versions, arm: version},
            **(more or {}),
        }
        self.add(SequenceStarted(at=self.now, sequence="promote", arm=arm, outcome="Promoted", details=details))
        self.enter("Promoting", reason, message)
