"""Promotion and rollback as sequences of idempotent steps: what shows that a step is in effect, what brings it about.

A step is recorded as done only when it was seen to be in effect. Whoever takes over after a crash looks at the world
again: a call that was lost is made, a call whose answer was lost is recognised by what it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml.contracts import slot_alias
from ml.controller.commands import CHAMPION_MOVED_STEP
from ml.controller.observation import (
    Action,
    CloseOutcomes,
    DeleteAlias,
    Observation,
    RecordPromotion,
    SetAlias,
)
from ml.controller.routing import STABLE_READY_STEP, all_to, in_effect
from ml.controller.state import ExperimentState, SequenceState
from ml.events.types import ModelPromoted

PROMOTION_RECORDED_STEP: Final = "promotion_recorded"
RELEASED_STEP: Final = "released"
CLOSED_STEP: Final = "closed"
STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "promote": (
        "weight_to_winner",
        CHAMPION_MOVED_STEP,
        PROMOTION_RECORDED_STEP,
        STABLE_READY_STEP,
        "weight_to_stable",
        RELEASED_STEP,
        CLOSED_STEP,
    ),
    "rollback": ("weight_to_control", RELEASED_STEP, CLOSED_STEP),
}


def next_step(sequence: SequenceState) -> str | None:
    """Return the first step that is not done; None when all are."""
    return next((step for step in STEPS[sequence.kind] if step not in sequence.done), None)


def aliases_needed(state: ExperimentState) -> Sequence[str]:
    """Return the aliases that have to be looked up now: before the start those of all arms, then the step's."""
    if state.sequence is None:
        # What is measured must be what the aliases say: a slot may still serve the version before.
        return tuple(slot_alias(arm) for arm in state.specification.arms) if state.phase == "Pending" else ()
    champion = slot_alias(state.specification.control)
    step = next_step(state.sequence)
    if step == RELEASED_STEP:
        return tuple(slot_alias(arm) for arm in state.specification.treatments)
    until_moved = state.sequence.kind == "promote" and step in ("weight_to_winner", CHAMPION_MOVED_STEP)
    return (champion,) if until_moved or step == STABLE_READY_STEP else ()


def seen_done(state: ExperimentState, observation: Observation) -> Mapping[str, Any] | None:
    """Return details for the record when the running step is seen to be in effect, else None."""
    sequence = state.sequence
    step = next_step(sequence) if sequence is not None else None
    if sequence is None or step is None:
        return None
    specification = state.specification
    match step:
        case "weight_to_winner":
            done = sequence.arm is not None and in_effect(state, observation, all_to(specification.arms, sequence.arm))
        case "weight_to_control" | "weight_to_stable":
            done = in_effect(state, observation, all_to(specification.arms, specification.control))
        case "champion_moved":
            done = observation.aliases.get(slot_alias(specification.control)) == sequence.details["version"]
        case "promotion_recorded":
            done = observation.promotion_recorded is True
        case "stable_ready":
            done = _stable_ready(state, sequence, observation)
        case "released":
            left = [arm for arm in specification.treatments if _holds_alias(sequence, observation, arm) is not False]
            done = not left
        case _:
            done = observation.outcomes_closed
    return {} if done else None


def step_actions(state: ExperimentState, observation: Observation, now: float) -> Sequence[Action]:
    """Return what brings the running step about, besides the route."""
    sequence = state.sequence
    step = next_step(sequence) if sequence is not None else None
    if sequence is None or step is None:
        return ()
    champion = slot_alias(state.specification.control)
    if step == CHAMPION_MOVED_STEP and sequence.arm is not None:
        known = champion in observation.aliases and observation.aliases[champion] != sequence.details["version"]
        # Traffic must not be on the slot that is about to load another version, unless there is no other.
        away = in_effect(state, observation, all_to(state.specification.arms, sequence.arm))
        return (SetAlias(alias=champion, version=sequence.details["version"]),) if known and away else ()
    if step == PROMOTION_RECORDED_STEP and observation.promotion_recorded is False:
        return (RecordPromotion(event=_promotion(state, sequence, now)),)
    if step == RELEASED_STEP:
        arms = [
            arm
            for arm in state.specification.treatments
            if _holds_alias(sequence, observation, arm) and _without_weight(observation, arm)
        ]
        return tuple(DeleteAlias(alias=slot_alias(arm)) for arm in arms)
    if step == CLOSED_STEP and not observation.outcomes_closed:
        return (CloseOutcomes(ended_at=sequence.at),)
    return ()


def _stable_ready(state: ExperimentState, sequence: SequenceState, observation: Observation) -> bool:
    control = state.specification.control
    version = sequence.details["version"]
    champion = observation.aliases.get(slot_alias(control), version)
    # If somebody has moved the champion on in the meantime, the stable slot will never serve our version.
    wanted = version if champion == version else champion
    return wanted is not None and observation.version(control) == wanted


def _holds_alias(sequence: SequenceState, observation: Observation, arm: str) -> bool | None:
    """Tell whether an arm's alias still points to the version of this experiment; None if that is not known.

    A newer version that somebody has put there in the meantime is not ours to remove.
    """
    version = sequence.details.get("versions", {}).get(arm)
    if version is None:
        return False
    alias = slot_alias(arm)
    return observation.aliases[alias] == version if alias in observation.aliases else None


def _without_weight(observation: Observation, arm: str) -> bool:
    routes = (observation.in_force, observation.written)
    return all(route is not None and route.weights.get(arm, 0) == 0 for route in routes)


def _promotion(state: ExperimentState, sequence: SequenceState, now: float) -> ModelPromoted:
    promised = state.promised
    return ModelPromoted(
        at=now,
        model=promised.model,
        model_version=sequence.details["version"],
        previous_version=sequence.details.get("previous_version"),
        experiment=promised.experiment,
        by=str(sequence.details.get("by", "controller")),
    )
