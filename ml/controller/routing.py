"""How the requests of a model should be shared out, from state and readiness. Safety comes last, so it wins.

A slot without ready pods gets no weight, whatever statistics or a sequence would like. A slot of which nothing is known
never gains weight: it keeps at most what it has. A slot that is no longer declared is left out of the route: nothing
but naming it could keep the route from being written, and then no weight could be taken from anybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml.controller.observation import Observation
from ml.controller.ports import Mirror, RouteState, Weights
from ml.controller.state import ACTIVE_PHASES, ExperimentState
from ml.experiments.layout import homes, laid_out, stretches
from ml.experiments.ramp import gateway_weights, net_weights
from ml.experiments.specification import TOTAL_WEIGHT

STABLE_READY_STEP = "stable_ready"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Weights by arm, all of the traffic together, and who takes over from arms that are not ready, best first."""

    weights: Mapping[str, int]
    heirs: Sequence[str]


def wish(state: ExperimentState) -> Wish:
    """Return what the experiment would like the gateway to have if every slot were ready."""
    specification = state.specification
    control, sequence = specification.control, state.sequence
    if sequence is not None:
        first, second = control, [arm for arm in state.active if sequence.kind == "rollback" and arm != sequence.arm]
        if sequence.kind == "promote" and sequence.arm is not None:
            back = STABLE_READY_STEP in sequence.done
            first, second = (control, [sequence.arm]) if back else (sequence.arm, [control])
        return Wish(weights=all_to(specification.arms, first), heirs=(first, *second))
    if state.phase in ACTIVE_PHASES and state.target:
        return Wish(weights=gateway_weights(specification, state.target), heirs=(control, *state.active))
    return Wish(weights=all_to(specification.arms, control), heirs=(control,))


def wanted_route(state: ExperimentState, observation: Observation, now: float) -> RouteState | None:
    """Return the route that should be written; None if nothing may be written now."""
    written = observation.written
    if written is None or not state.is_running:
        return None
    arms = state.specification.arms
    slots = observation.slots_declared or tuple(written.weights)
    if state.specification.control not in slots:
        return None
    ready = {arm: observation.ready(arm) if arm in slots else False for arm in arms}
    weights = _fit(wish(state), ready, written.weights)
    if weights is None:
        return None
    full = {slot: weights.get(slot, 0) for slot in slots}
    layout = laid_out(full, homes(state.spec))
    return RouteState(
        weights=full,
        salt_index=state.promised.salt_index,
        mirror=_mirror(state, observation, now),
        layout=layout if len(layout) > len(full) else (),
    )


def same_route(route: RouteState | None, other: RouteState | None, *, mirrors: bool = True) -> bool:
    """Tell whether two routes send everybody to the same slots; a slot that is not named has weight 0."""
    if route is None or other is None or route.salt_index != other.salt_index:
        return False
    same_users = stretches(route.destinations) == stretches(other.destinations)
    return same_users and (not mirrors or _same_mirror(route.mirror, other.mirror))


def in_effect(state: ExperimentState, observation: Observation, weights: Weights) -> bool:
    """Tell whether the gateway has exactly these weights by arm, under the experiment's salt."""
    found = RouteState(weights=weights, salt_index=state.promised.salt_index)
    return same_route(found, observation.in_force, mirrors=False)


def weights_in_force(state: ExperimentState, observation: Observation) -> Mapping[str, int] | None:
    """Return what the gateway has as the specification's weights; None if that is not known or not expressible."""
    in_force = observation.in_force
    if in_force is None:
        return None
    arms = state.specification.arms
    found = net_weights(state.specification, {arm: in_force.weights.get(arm, 0) for arm in arms})
    return found if found is not None and sum(found.values()) > 0 else None


def all_to(arms: Sequence[str], arm: str) -> Mapping[str, int]:
    """Return weights that send everything to one arm."""
    return {name: TOTAL_WEIGHT if name == arm else 0 for name in arms}


def _fit(asked: Wish, ready: Mapping[str, bool | None], written: Weights) -> Mapping[str, int] | None:
    """Take from arms that are not ready and give to the first heir that is; None if there is none."""
    weights: dict[str, int] = {}
    for arm, weight in asked.weights.items():
        state = ready[arm]
        weights[arm] = weight if state else 0 if state is False else min(weight, written.get(arm, 0))
    missing = sum(asked.weights.values()) - sum(weights.values())
    if missing == 0:
        return weights
    # An heir of which nothing is known may keep what it has, but more only if it is known to be ready.
    heir = next((arm for arm in asked.heirs if ready.get(arm)), None)
    if heir is None:
        return None
    weights[heir] += missing
    return weights


def _mirror(state: ExperimentState, observation: Observation, now: float) -> Mirror | None:
    if state.phase != "Shadow" or state.sequence is not None:
        return None
    treatments = state.active
    shadow = state.spec.shadow
    turn = int((now - state.phase_at) / shadow.duration_seconds * len(treatments))
    slot = treatments[min(max(turn, 0), len(treatments) - 1)]
    return Mirror(slot=slot, percent=shadow.sample_percent) if observation.ready(slot) else None


def _same_mirror(mirror: Mirror | None, other: Mirror | None) -> bool:
    if mirror is None or other is None:
        return mirror is other
    return mirror.slot == other.slot and abs(mirror.percent - other.percent) < 0.01
