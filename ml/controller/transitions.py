"""What an experiment does next: events to record and, once they are stored, actions to take. Pure.

Intent comes before effect and effect before its record: an event says what is wanted, actions follow from the stored
state and what is seen, and the next event is written when the effect has been seen. Repeating any changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ml.contracts import slot_alias
from ml.controller.commands import champion_has_moved, chosen_arm, judge
from ml.controller.evidence import gather
from ml.controller.fold import MEASURED_STEP, apply
from ml.controller.observation import Action, Observation, OpenOutcomes, SetRoute, StartEpoch
from ml.controller.routing import all_to, in_effect, same_route, wanted_route, weights_in_force
from ml.controller.sequences import next_step, seen_done, step_actions
from ml.controller.state import ACTIVE_PHASES, SPEC_COMMAND, ExperimentState
from ml.controller.timing import decision_is_due
from ml.events.decisions import record
from ml.events.types import (
    CommandHandled,
    CommandIssued,
    EpochStarted,
    ExperimentEvent,
    Phase,
    PhaseEntered,
    SequenceStarted,
    StepDone,
)
from ml.experiments.decision import Decision, decide
from ml.experiments.ramp import gateway_weights, weights_at

WAITING: Final = "slots_loading"
"""Reason for which an admitted experiment waits before its start."""
SLOT_HOLD: Final = "slot_not_ready"
"""Reason of a hold that ends when the slots are ready again; other holds end with a decision."""
_OUTCOMES: Final[Mapping[str, Phase]] = {
    "roll back": "RolledBack",
    "inconclusive": "Inconclusive",
    "invalid": "Invalid",
}


@dataclass(frozen=True)
class Step:
    """Events to append, the state they lead to, and what to do once they are stored."""

    events: Sequence[ExperimentEvent]
    state: ExperimentState
    actions: Sequence[Action]


def plan(state: ExperimentState, observation: Observation, now: float) -> Step:
    """Return the next step of an experiment.

    Args:
        state: fold of the stored events.
        observation: the world; what is missing in it blocks only what needs it.
        now: seconds since 1970.
    """
    draft = _Draft(state, observation, now)
    draft.advance()
    return Step(draft.events, draft.state, actions(draft.state, observation, draft.now))


def actions(state: ExperimentState, observation: Observation, now: float) -> Sequence[Action]:
    """Return what to do outside, from stored state alone, so that it may be done even if nothing can be stored."""
    if not state.is_running:
        return ()
    found: list[Action] = []
    wants_users = state.phase in ACTIVE_PHASES and state.sequence is None
    if wants_users and observation.epochs_told is None:
        found.append(OpenOutcomes(started_at=state.promised.at))
    # Nobody meets a treatment before their outcomes can be counted.
    waits = wants_users and not state.epochs and observation.epochs_told is None
    route = None if waits else wanted_route(state, observation, now)
    if route is not None and not same_route(route, observation.written):
        found.insert(0, SetRoute(route=route))
    if observation.epochs_told is not None:
        order = observation.slots_declared or state.specification.arms
        for index in range(observation.epochs_told, len(state.epochs)):
            epoch = state.epochs[index]
            weights = epoch.weights if epoch.is_changing else gateway_weights(state.specification, epoch.weights)
            ordered = {slot: weights[slot] for slot in order if slot in weights}
            found.append(StartEpoch(index=index, weights=ordered, started_at=epoch.at))
    return (*found, *step_actions(state, observation, now))


class _Draft:
    """A step in the making: every event is applied at once, so that the next question sees it."""

    def __init__(self, state: ExperimentState, observation: Observation, now: float) -> None:
        self.state = state
        self.events: list[ExperimentEvent] = []
        self._seen = observation
        # Another controller's clock may have been ahead; within a stream time never runs backwards.
        self.now = max(now, state.last_at)
        self._due = state.promise is not None and decision_is_due(state, now)

    def advance(self) -> None:
        self._hear()
        if not self.state.is_running:
            return
        if self.state.sequence is not None:
            self._follow()
            return
        if self._versions_changed() or self.state.sequence is not None:
            return
        if self.state.phase in ("Pending", "Shadow"):
            self._prepare()
            return
        self._note_epoch()
        if self._held_by_slots() or self._approval_timed_out():
            return
        if self._due and self.state.phase in ACTIVE_PHASES and not self.state.paused_by:
            self._decide()
            if self.state.sequence is None:
                self._note_epoch()

    def _add(self, event: ExperimentEvent) -> None:
        self.events.append(event)
        self.state = apply(self.state, event)

    def _enter(self, phase: Phase, reason: str, message: str = "") -> None:
        if (self.state.phase, self.state.reason) != (phase, reason):
            self._add(PhaseEntered(at=self.now, phase=phase, reason=reason, message=message))

    # Commands --------------------------------------------------------------------------------------------------------
    def _hear(self) -> None:
        for command in (*self._seen.commands, *self._implied()):
            if command.command not in self.state.known_commands:
                self._add(command.model_copy(update={"at": self.now}))
        for command in self.state.pending:
            if self.state.promise is None and not self.state.is_final:
                self._handle_early(command)
            else:
                self._handle(command)

    def _handle_early(self, command: CommandIssued) -> None:
        """Before admission there is nothing to decide about, except not to begin at all."""
        stops = command.action == "stop"
        message = "it will not begin" if stops else "the experiment has not been admitted yet: allowed is to stop it"
        self._add(CommandHandled(at=self.now, command=command.command, accepted=stops, message=message))
        if stops:
            self._enter("Cancelled", "stopped", command.why)

    def _implied(self) -> Sequence[CommandIssued]:
        """Return what follows from the object itself: it was deleted, or `spec.paused` was changed."""
        test, state = self._seen.test, self.state
        if state.is_final or state.promise is None:
            return ()
        if test is None or test.deleted:
            return (self._command("deleted", "stop", "the ABTest was deleted"),)
        paused = bool(test.spec.get("paused", False))
        if paused and not state.paused_by:
            return (self._command(f"{SPEC_COMMAND}pause-{test.generation}", "pause", "spec.paused is true"),)
        if not paused and state.paused_by == "spec":
            return (self._command(f"{SPEC_COMMAND}resume-{test.generation}", "resume", "spec.paused is false"),)
        return ()

    def _command(self, name: str, action: Any, why: str) -> CommandIssued:
        return CommandIssued(at=self.now, command=name, action=action, by="kubectl", why=why, source="controller")

    def _handle(self, command: CommandIssued) -> None:
        verdict = judge(self.state, command, self._seen)
        if verdict is None:
            return
        arms_left = [arm for arm in self.state.active if arm != command.arm] if self.state.promise else []
        arm = chosen_arm(self.state, command) if self.state.promise else None
        self._add(
            CommandHandled(at=self.now, command=command.command, accepted=verdict.accepted, message=verdict.message)
        )
        if not verdict.accepted:
            return
        who = {"by": command.by, "why": command.why}
        if command.action == "stop":
            self._give_back("Cancelled", "stopped", command.why, who)
        elif command.action == "rollback" and (command.arm is None or not arms_left or self.state.sequence):
            self._give_back("RolledBack", "rolled_back_by_hand", command.why, who)
        elif command.action in ("promote", "approve") and arm is not None:
            self._promote(arm, "approved" if command.action == "approve" else "promoted_by_hand", command.why, who)

    # Sequences -------------------------------------------------------------------------------------------------------
    def _give_back(self, outcome: Phase, reason: str, message: str, more: Mapping[str, Any] | None = None) -> None:
        """Begin to send all traffic to control."""
        versions: dict[str, Any] = {}
        if self.state.sequence is not None:
            versions.update(self.state.sequence.details.get("versions", {}))
        versions.update(self.state.versions)
        details: dict[str, Any] = {"reason": reason, "message": message, "versions": versions, **(more or {})}
        self._add(SequenceStarted(at=self.now, sequence="rollback", arm=None, outcome=outcome, details=details))
        self._enter("RollingBack", reason, message)

    def _promote(self, arm: str, reason: str, message: str, more: Mapping[str, Any] | None = None) -> None:
        """Begin to promote an arm, if it is ready with the version that was measured; else a later reconcile will."""
        version = self._seen.version(arm)
        control = self.state.specification.control
        if version is None or version != self.state.versions.get(arm, version):
            return
        details = {
            "reason": reason,
            "message": message,
            "version": version,
            "previous_version": self.state.versions.get(control, self._seen.version(control)),
            "versions": {**self.state.versions, arm: version},
            **(more or {}),
        }
        self._add(SequenceStarted(at=self.now, sequence="promote", arm=arm, outcome="Promoted", details=details))
        self._enter("Promoting", reason, message)

    def _follow(self) -> None:
        """Record the steps of the running sequence that are seen to be in effect; enter the final phase after the last.

        One step at a time where the next has to be looked at anew.
        """
        sequence = self.state.sequence
        if sequence is None:
            return
        step = next_step(sequence)
        if step is not None:
            details = seen_done(self.state, self._seen)
            if details is None:
                self._give_up_promotion()
                return
            self._add(StepDone(at=self.now, step=step, details=dict(details)))
        ended = self.state.sequence
        if ended is not None and next_step(ended) is None:
            self._enter(ended.outcome, str(ended.details.get("reason", "")), str(ended.details.get("message", "")))

    def _give_up_promotion(self) -> None:
        """End a promotion whose winner stays not ready, as long as the champion has not moved."""
        state, sequence = self.state, self.state.sequence
        if sequence is None or sequence.kind != "promote" or sequence.arm is None:
            return
        waited = self.now - sequence.at > state.spec.no_data.timeout_seconds
        lost = self._seen.ready(sequence.arm) is False
        if waited and lost and champion_has_moved(state, self._seen) is False:
            message = f"slot {sequence.arm} is not ready, so it cannot be promoted"
            self._give_back("Inconclusive", "winner_not_ready", message)

    # Before users see a treatment ------------------------------------------------------------------------------------
    def _versions_changed(self) -> bool:
        """End as invalid when an arm serves another version than the one that is measured."""
        for arm, version in self.state.versions.items():
            serves = self._seen.version(arm)
            if serves is not None and serves != version and arm not in self.state.dropped:
                message = f"slot {arm} serves version {serves}; version {version} was measured"
                self._give_back("Invalid", "version_changed", message)
                return True
        return False

    def _prepare(self) -> None:
        """Pending and Shadow: salt in force, slots ready, then copies of requests, then users."""
        state, spec = self.state, self.state.spec
        arms = state.specification.arms
        if state.paused_by:
            return
        missing = [arm for arm in arms if self._seen.version(arm) is None or self._is_loading(arm)]
        settled = in_effect(state, self._seen, all_to(arms, state.specification.control))
        if missing or not settled:
            unready = [arm for arm in missing if arm in self._seen.slots]
            if state.phase == "Shadow" and unready:
                self._enter("Pending", SLOT_HOLD, f"slots {', '.join(unready)} are not ready with one version")
            elif self.now - max(state.phase_at, state.promised.at) > spec.no_data.timeout_seconds:
                message = self._loading_message(missing) if missing else "the gateway has not taken the route"
                self._give_back("Inconclusive", "not_started", message)
            elif missing and state.phase == "Pending":
                self._enter("Pending", WAITING, self._loading_message(missing))
            return
        if not state.versions:
            versions = {arm: self._seen.version(arm) for arm in arms}
            self._add(StepDone(at=self.now, step=MEASURED_STEP, details={"versions": versions}))
        if state.phase == "Pending" and spec.shadow.enabled:
            self._enter("Shadow", "slots_ready", f"copies of {spec.shadow.sample_percent:g} % of the requests")
        elif state.phase == "Pending" or self.now - state.phase_at >= spec.shadow.duration_seconds:
            self._enter("Ramping", "slots_ready", "the first users meet the treatments")

    def _is_loading(self, arm: str) -> bool:
        """Tell whether a slot does not serve what its alias says, or whether that is not known."""
        return self.state.phase == "Pending" and self._seen.aliases.get(slot_alias(arm)) != self._seen.version(arm)

    def _loading_message(self, arms: Sequence[str]) -> str:
        parts: list[str] = []
        for arm in arms:
            alias, serves = slot_alias(arm), self._seen.version(arm)
            if serves is None:
                parts.append(f"slot {arm} is not ready with one version")
            elif alias not in self._seen.aliases:
                parts.append(f"slot {arm} serves version {serves}; where alias {alias} points is not known")
            else:
                parts.append(f"slot {arm} serves version {serves}, alias {alias} points to {self._seen.aliases[alias]}")
        return "; ".join(parts)

    # Epochs and holds ------------------------------------------------------------------------------------------------
    def _note_epoch(self) -> None:
        """Begin an epoch when the gateway is seen to have what it should; until then the weights are changing."""
        state, seen = self.state, self._seen
        wanted = wanted_route(state, seen, self.now)
        if wanted is None:
            return
        is_written = same_route(wanted, seen.written)
        is_in_force = same_route(wanted, seen.in_force, mirrors=False)
        found = weights_in_force(state, seen)
        if is_written and is_in_force and found is not None:
            if not state.epochs or dict(found) != dict(state.epochs[-1].weights):
                self._begin_epoch(found)
        elif state.epochs and not state.epochs[-1].is_changing and not (is_written and seen.in_force is None):
            self._begin_epoch(dict.fromkeys(state.specification.arms, 0))

    def _begin_epoch(self, weights: Mapping[str, int]) -> None:
        self._add(EpochStarted(at=self.now, index=len(self.state.epochs), weights=dict(weights)))

    def _held_by_slots(self) -> bool:
        """Hold while an arm's slot is not ready; end as inconclusive when that takes too long."""
        state = self.state
        arms = (state.specification.control, *state.active)
        unready = [arm for arm in arms if self._seen.ready(arm) is False]
        held = state.phase == "HoldNoData" and state.reason == SLOT_HOLD
        if not unready:
            known = all(self._seen.ready(arm) for arm in arms)
            if held and known:
                self._go_on("slots_ready")
            return held and not known
        message = f"slots {', '.join(unready)} are not ready"
        if held and self.now - state.phase_at > state.spec.no_data.timeout_seconds:
            self._give_back("Inconclusive", "slots_not_ready", message)
        elif state.phase == "AwaitingApproval":
            return self._approval_timed_out() or True
        else:
            self._enter("HoldNoData", SLOT_HOLD, message)
        return True

    def _approval_timed_out(self) -> bool:
        state = self.state
        timeout = state.spec.approval.timeout_seconds
        if state.phase != "AwaitingApproval" or self.now - state.phase_at <= timeout:
            return False
        self._give_back("Inconclusive", "not_approved", f"nobody approved within {timeout} s")
        return True

    # Decisions -------------------------------------------------------------------------------------------------------
    def _decide(self) -> None:
        state = self.state
        gathered = gather(state, self._seen.outcomes, self._seen.requests, self.now)
        decision = decide(state.specification, gathered.history, self.now)
        self._add(record(state.chain, state.specification, gathered.history, decision, gathered.cursors))
        reason = decision.reasons[-1]
        match decision.action:
            case "promote":
                self._found_better(decision)
            case "hold":
                if self.state.phase != "AwaitingApproval":
                    self._enter("HoldNoData", reason.code, reason.message)
            case "continue" | "ramp":
                self._go_on(reason.code, reason.message)
            case "roll back" if self.state.active:
                pass  # the rest goes on; what was dropped loses its weight by the route
            case "roll back" | "inconclusive" | "invalid":
                self._give_back(_OUTCOMES[decision.action], reason.code, reason.message)

    def _found_better(self, decision: Decision) -> None:
        arm, reason = decision.arms[0], decision.reasons[-1]
        if self.state.spec.approval.required:
            if self.state.phase != "AwaitingApproval":
                self._enter("AwaitingApproval", reason.code, reason.message)
        else:
            self._promote(arm, reason.code, reason.message)

    def _go_on(self, reason: str, message: str = "") -> None:
        """Enter Ramping or Running, whichever it is; nothing if it is in it already."""
        state = self.state
        final = weights_at(state.specification, state.specification.ramp.seconds, state.dropped)
        phase: Phase = "Running" if dict(state.target) == dict(final) else "Ramping"
        if state.phase != phase:
            self._enter(phase, reason, message)
