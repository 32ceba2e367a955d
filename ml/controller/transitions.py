"""What an experiment does next: events to record and, once they are stored, actions to take. Pure.

Intent comes before effect and effect before its record: an event says what is wanted, actions follow from the stored
state and what is seen, and the next event is written when the effect has been seen. Repeating any changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ml.controller.commands import champion_has_moved
from ml.controller.draft import Draft
from ml.controller.evidence import gather
from ml.controller.hearing import hear
from ml.controller.observation import Action, Observation, OpenOutcomes, SetRoute, StartEpoch
from ml.controller.preparation import SLOT_HOLD, prepare
from ml.controller.routing import same_route, wanted_route, weights_in_force
from ml.controller.sequences import next_step, seen_done, step_actions
from ml.controller.state import ACTIVE_PHASES, ExperimentState
from ml.controller.timing import decision_is_due
from ml.events.decisions import record
from ml.events.types import EpochStarted, ExperimentEvent, Phase, StepDone
from ml.experiments.decision import Decision, Reason, decide
from ml.experiments.ramp import gateway_weights, weights_at

_OUTCOMES: Final[Mapping[str, Phase]] = {
    "roll back": "RolledBack",
    "inconclusive": "Inconclusive",
    "invalid": "Invalid",
}

WEIGHTS_HOLD: Final = "weights_unknown"
"""Reason of a hold while the gateways have not been seen to have the weights that they should."""
_WEIGHTS_MESSAGE: Final = "the gateways have not been seen to have the weights that they should, so nobody is counted"


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
    draft = Draft(state, observation, now)
    is_due = observation.may_decide and state.promise is not None and decision_is_due(state, now)
    _advance(draft, is_due=is_due)
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
        declared, arms = observation.slots_declared, state.specification.arms
        order = declared if set(arms) <= set(declared) else arms
        for index in range(observation.epochs_told, len(state.epochs)):
            epoch = state.epochs[index]
            weights = epoch.weights if epoch.is_changing else gateway_weights(state.specification, epoch.weights)
            ordered = {slot: weights[slot] for slot in order if slot in weights}
            found.append(StartEpoch(index=index, weights=ordered, started_at=epoch.at))
    return (*found, *step_actions(state, observation, now))


def _advance(draft: Draft, *, is_due: bool) -> None:
    hear(draft)
    if not draft.state.is_running:
        return
    if draft.state.sequence is not None:
        _follow(draft)
        return
    if _slots_removed(draft) or _versions_changed(draft):
        return
    if draft.state.phase in ("Pending", "Shadow"):
        prepare(draft)
        return
    _note_epoch(draft)
    if _held_by_slots(draft) or _approval_timed_out(draft) or _held_before_first_epoch(draft):
        return
    if is_due and draft.state.phase in ACTIVE_PHASES and not draft.state.paused_by:
        _decide(draft)
        if draft.state.sequence is None:
            _note_epoch(draft)


def _follow(draft: Draft) -> None:
    """Record the steps of the running sequence that are seen to be in effect; enter the final phase after the last.

    One step at a time where the next has to be looked at anew.
    """
    sequence = draft.state.sequence
    if sequence is None:
        return
    step = next_step(sequence)
    if step is not None:
        details = seen_done(draft.state, draft.seen)
        if details is None:
            _give_up_promotion(draft)
            return
        draft.add(StepDone(at=draft.now, step=step, details=dict(details)))
    ended = draft.state.sequence
    if ended is not None and next_step(ended) is None:
        draft.enter(ended.outcome, str(ended.details.get("reason", "")), str(ended.details.get("message", "")))


def _give_up_promotion(draft: Draft) -> None:
    """End a promotion whose winner stays not ready, as long as the champion has not moved."""
    state, sequence = draft.state, draft.state.sequence
    if sequence is None or sequence.kind != "promote" or sequence.arm is None:
        return
    waited = draft.now - sequence.at > state.spec.no_data.timeout_seconds
    lost = draft.seen.ready(sequence.arm) is False
    if waited and lost and champion_has_moved(state, draft.seen) is False:
        message = f"slot {sequence.arm} is not ready, so it cannot be promoted"
        draft.give_back("Inconclusive", "winner_not_ready", message)


def _slots_removed(draft: Draft) -> bool:
    """End when the model has lost the slot of a treatment, even of a dropped one: users are placed anew without it."""
    gone = [arm for arm in draft.state.specification.treatments if draft.seen.undeclared(arm)]
    if gone:
        message = f"the model has no slot {', '.join(gone)} any more"
        draft.give_back("Inconclusive", "slot_not_declared", message)
    return bool(gone)


def _versions_changed(draft: Draft) -> bool:
    """End as invalid when an arm serves another version than the one that is measured."""
    for arm, version in draft.state.versions.items():
        serves = draft.seen.version(arm)
        if serves is not None and serves != version and arm not in draft.state.dropped:
            message = f"slot {arm} serves version {serves}; version {version} was measured"
            draft.give_back("Invalid", "version_changed", message)
            return True
    return False


def _note_epoch(draft: Draft) -> None:
    """Begin an epoch when the gateway is seen to have what it should; until then the weights are changing."""
    state, seen = draft.state, draft.seen
    wanted = wanted_route(state, seen, draft.now)
    if wanted is None:
        return
    is_written = same_route(wanted, seen.written)
    is_in_force = same_route(wanted, seen.in_force, mirrors=False)
    found = weights_in_force(state, seen)
    if is_written and is_in_force and found is not None:
        if not state.epochs or dict(found) != dict(state.epochs[-1].weights):
            _begin_epoch(draft, found)
    elif state.epochs and not state.epochs[-1].is_changing and not (is_written and seen.in_force is None):
        _begin_epoch(draft, dict.fromkeys(state.specification.arms, 0))


def _begin_epoch(draft: Draft, weights: Mapping[str, int]) -> None:
    draft.add(EpochStarted(at=draft.now, index=len(draft.state.epochs), weights=dict(weights)))


def _held_by_slots(draft: Draft) -> bool:
    """Hold while an arm's slot is not ready; end as inconclusive when that takes too long."""
    state = draft.state
    arms = (state.specification.control, *state.active)
    unready = [arm for arm in arms if draft.seen.ready(arm) is False]
    held = state.phase == "HoldNoData" and state.reason == SLOT_HOLD
    if not unready:
        known = all(draft.seen.ready(arm) for arm in arms)
        if held and known:
            _go_on(draft, "slots_ready")
        return held and not known
    message = f"slots {', '.join(unready)} are not ready"
    if held and draft.now - state.phase_at > state.spec.no_data.timeout_seconds:
        draft.give_back("Inconclusive", "slots_not_ready", message)
    elif state.phase == "AwaitingApproval":
        return _approval_timed_out(draft) or True
    else:
        draft.enter("HoldNoData", SLOT_HOLD, message)
    return True


def _held_before_first_epoch(draft: Draft) -> bool:
    """Hold while users may meet a treatment and the first weights are not seen in force; end when it takes too long.

    Later such holds come by a decision, since what was counted before may still show harm.
    """
    state = draft.state
    if state.epochs or state.paused_by or draft.seen.epochs_told is None:
        return False
    waited, limits = draft.now - state.phase_at, state.spec.no_data
    held = state.phase == "HoldNoData" and state.reason == WEIGHTS_HOLD
    if held and waited > limits.timeout_seconds:
        draft.give_back("Inconclusive", WEIGHTS_HOLD, _WEIGHTS_MESSAGE)
    elif waited > limits.stale_after_seconds:
        draft.enter("HoldNoData", WEIGHTS_HOLD, _WEIGHTS_MESSAGE)
    return True


def _approval_timed_out(draft: Draft) -> bool:
    state = draft.state
    timeout = state.spec.approval.timeout_seconds
    if state.phase != "AwaitingApproval" or draft.now - state.phase_at <= timeout:
        return False
    draft.give_back("Inconclusive", "not_approved", f"nobody approved within {timeout} s")
    return True


def _decide(draft: Draft) -> None:
    state = draft.state
    gathered = gather(state, draft.seen.outcomes, draft.seen.requests, draft.now)
    decision = decide(state.specification, gathered.history, draft.now)
    draft.add(record(state.chain, state.specification, gathered.history, decision, gathered.cursors))
    reason = decision.reasons[-1]
    match decision.action:
        case "promote":
            _found_better(draft, decision)
        case "hold":
            if draft.state.phase != "AwaitingApproval":
                draft.enter("HoldNoData", *_why_held(state, reason, draft.now))
        case "continue" | "ramp":
            _go_on(draft, reason.code, reason.message)
        case "roll back" if draft.state.active:
            pass  # the rest goes on; what was dropped loses its weight by the route
        case "roll back" | "inconclusive" | "invalid":
            draft.give_back(_OUTCOMES[decision.action], reason.code, reason.message)


def _why_held(state: ExperimentState, reason: Reason, now: float) -> tuple[str, str]:
    """Return reason and message of a hold: data are missing, or there are none because the weights are not known."""
    last = state.epochs[-1]
    if last.is_changing and now - last.at > state.spec.no_data.stale_after_seconds:
        return WEIGHTS_HOLD, _WEIGHTS_MESSAGE
    return reason.code, reason.message


def _found_better(draft: Draft, decision: Decision) -> None:
    arm, reason = decision.arms[0], decision.reasons[-1]
    if draft.state.spec.approval.required:
        if draft.state.phase != "AwaitingApproval":
            draft.enter("AwaitingApproval", reason.code, reason.message)
    else:
        draft.promote(arm, reason.code, reason.message)


def _go_on(draft: Draft, reason: str, message: str = "") -> None:
    """Enter Ramping or Running, whichever it is; nothing if it is in it already."""
    state = draft.state
    final = weights_at(state.specification, state.specification.ramp.seconds, state.dropped)
    phase: Phase = "Running" if dict(state.target) == dict(final) else "Ramping"
    if state.phase != phase:
        draft.enter(phase, reason, message)
