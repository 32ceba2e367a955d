"""The state of an experiment is nothing but the fold of its stream: what each event changes.

The fold takes any sequence of events. What makes no sense where it stands (a step of no sequence, a command handled
that nobody issued) changes nothing, so that a stream can always be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from ml.contracts.abtest import read_spec
from ml.controller.state import SPEC_COMMAND, EpochState, ExperimentState, Promise, SequenceState
from ml.events.histories import look_of
from ml.events.types import (
    AnyEvent,
    CommandHandled,
    CommandIssued,
    DecisionMade,
    Document,
    EpochStarted,
    ExperimentCreated,
    ExperimentRefused,
    PhaseEntered,
    SequenceStarted,
    StepDone,
)
from ml.experiments.document import specification_from_document
from ml.experiments.ramp import weights_at
from ml.experiments.specification import ExperimentSpec

LARGEST_STEP: Final = 10
"""Of a treatment's weight, per mille, in one ramp decision: a ramp that fell behind catches up step by step."""
MEASURED_STEP: Final = "measured"
"""Recorded once, before the first epoch: which version each arm serves while it is measured."""


def fold(events: Iterable[AnyEvent], state: ExperimentState | None = None) -> ExperimentState:
    """Return the state after all events, beginning from a state or from nothing."""
    current = state or ExperimentState()
    for event in events:
        current = apply(current, event)
    return current


def apply(state: ExperimentState, event: AnyEvent) -> ExperimentState:
    """Return the state after one more event."""
    state = replace(state, last_at=max(state.last_at, event.at))
    match event:
        case ExperimentCreated():
            return _created(state, event) if state.promise is None else state
        case ExperimentRefused():
            entered = replace(state, refused=event.problems, phase="Invalid", phase_at=event.at, reason="Refused")
            return state if state.promise is not None else replace(entered, message="; ".join(event.problems))
        case PhaseEntered():
            return _entered(state, event)
        case EpochStarted():
            epoch = EpochState(at=event.at, weights=event.weights)
            # The same index twice is the same epoch (a repeated write); a gap cannot come about.
            return replace(state, epochs=(*state.epochs, epoch)) if event.index == len(state.epochs) else state
        case DecisionMade():
            return _decided(state, event)
        case CommandIssued():
            if event.command in state.known_commands:
                return state
            known = {**state.known_commands, event.command: event}
            return replace(state, known_commands=known, pending=(*state.pending, event))
        case CommandHandled():
            return _handled(state, event)
        case SequenceStarted():
            begun = SequenceState(
                kind=event.sequence, arm=event.arm, outcome=event.outcome, details=event.details, at=event.at
            )
            return replace(state, sequence=begun)
        case StepDone():
            return _done(state, event)
        case _:
            return state


def ramp_target(specification: ExperimentSpec, current: Mapping[str, int], due: Mapping[str, int]) -> Mapping[str, int]:
    """Return the weights to aim at next: those that are due, but no treatment grows by more than one small step."""
    treatments = {
        arm: min(due[arm], current.get(arm, 0) + max(LARGEST_STEP, _one_step(specification, share)))
        for arm, share in zip(specification.treatments, specification.shares, strict=True)
    }
    total = sum(due.values())
    return {specification.control: total - sum(treatments.values()), **treatments}


def _one_step(specification: ExperimentSpec, share: float) -> int:
    return int(specification.total_weight * share / (specification.ramp.steps + 1)) + 1


def _created(state: ExperimentState, event: ExperimentCreated) -> ExperimentState:
    promise = Promise(
        experiment=event.experiment,
        name=event.name,
        namespace=event.namespace,
        model=event.model,
        spec=read_spec(event.spec),
        specification=specification_from_document(event.specification),
        plan=event.plan,
        salt_index=event.salt_index,
        by=event.by,
        at=event.at,
    )
    return replace(state, promise=promise, phase="Pending", phase_at=event.at, reason="Admitted", message="")


def _entered(state: ExperimentState, event: PhaseEntered) -> ExperimentState:
    entered = replace(state, phase=event.phase, phase_at=event.at, reason=event.reason, message=event.message)
    if event.phase == "Ramping" and not state.target and state.promise is not None:
        return replace(entered, target=weights_at(state.specification, 0.0, state.dropped))
    return entered


def _decided(state: ExperimentState, event: DecisionMade) -> ExperimentState:
    decision: Document = event.decision
    look: Any = decision.get("look")
    looks = state.looks if look is None else (*state.looks, look_of(look))
    decided = replace(
        state,
        chain=state.chain.after(event),
        cursors=event.cursors,
        decision=decision,
        decision_at=event.at,
        looks=looks,
        better_arm=_better_arm(state, decision),
    )
    if state.promise is None:
        return decided
    action, due = decision.get("action"), decision.get("weights", {})
    if action == "roll back":
        arms = [arm for arm in decision.get("arms", []) if arm not in state.dropped]
        return _without(decided, arms)
    settled = bool(state.epochs) and dict(state.epochs[-1].weights) == dict(state.target)
    if action == "ramp" and settled:
        return replace(decided, target=ramp_target(state.specification, state.target, due))
    return decided


def _better_arm(state: ExperimentState, decision: Document) -> str | None:
    if decision.get("action") == "promote":
        return next(iter(decision.get("arms", [])), None)
    return state.better_arm if decision.get("action") == "hold" else None


def _without(state: ExperimentState, arms: Iterable[str]) -> ExperimentState:
    """Drop treatments; what they had goes to control."""
    dropped = (*state.dropped, *arms)
    if not state.target:
        # Nobody has seen a treatment yet: the ramp sets the first target, without those that were dropped.
        return replace(state, dropped=dropped)
    kept = {arm: 0 if arm in dropped else state.target.get(arm, 0) for arm in state.specification.treatments}
    total = sum(state.target.values()) or state.specification.total_weight
    return replace(state, dropped=dropped, target={state.specification.control: total - sum(kept.values()), **kept})


def _handled(state: ExperimentState, event: CommandHandled) -> ExperimentState:
    command = next((item for item in state.pending if item.command == event.command), None)
    if command is None:
        return state
    state = replace(state, pending=tuple(item for item in state.pending if item is not command))
    if not event.accepted:
        return state
    if command.action == "pause":
        return replace(state, paused_by="spec" if command.command.startswith(SPEC_COMMAND) else "command")
    if command.action == "resume":
        return replace(state, paused_by="")
    others = state.promise is not None and any(arm != command.arm for arm in state.active)
    if command.action == "rollback" and command.arm is not None and others and command.arm in state.active:
        return _without(state, [command.arm])
    return state


def _done(state: ExperimentState, event: StepDone) -> ExperimentState:
    if event.step == MEASURED_STEP:
        return replace(state, versions=dict(event.details.get("versions", {})))
    if state.sequence is None or event.step in state.sequence.done:
        return state
    details = {**state.sequence.details, **event.details}
    return replace(state, sequence=replace(state.sequence, done=(*state.sequence.done, event.step), details=details))
