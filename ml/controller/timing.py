"""When to look at an experiment again."""

from __future__ import annotations

from typing import Final

from ml.controller.observation import Observation
from ml.controller.routing import same_route, wanted_route
from ml.controller.state import ACTIVE_PHASES, ExperimentState

RETRY_SECONDS: Final = 1.0
"""After something that should have an effect soon: a route that was written, a step of a sequence, a failure."""
SHORTEST_INTERVAL_SECONDS: Final = 1.0
_PREPARING_SECONDS: Final = 5.0


def interval_seconds(state: ExperimentState) -> float:
    """Return how long to wait between two decisions: while ramping no longer than a step of the ramp."""
    asked = float(state.spec.reconcile_interval_seconds)
    ramp = state.spec.ramp
    if state.phase != "Ramping" or not ramp.duration_seconds:
        return asked
    return max(SHORTEST_INTERVAL_SECONDS, min(asked, ramp.duration_seconds / ramp.steps))


def decision_is_due(state: ExperimentState, now: float) -> bool:
    """Tell whether a decision may be taken: so that metrics have to be read."""
    if state.phase not in ACTIVE_PHASES or not state.epochs or state.sequence is not None or state.paused_by:
        return False
    last = state.decision_at if state.decision_at is not None else state.started_at
    # A clock that stands before the last decision is another one's; waiting for it to catch up would delay a rollback.
    return last is None or now < last or now - last >= interval_seconds(state)


def due_at(state: ExperimentState, observation: Observation, now: float) -> float | None:
    """Return when to look again; None when the experiment has ended."""
    if not state.is_running:
        return None
    interval = interval_seconds(state)
    wanted = wanted_route(state, observation, now)
    settled = wanted is not None and same_route(wanted, observation.in_force, mirrors=False)
    told = observation.epochs_told == len(state.epochs)
    if state.sequence is not None or not settled or (state.phase in ACTIVE_PHASES and not (state.epochs and told)):
        return now + RETRY_SECONDS
    if state.phase in ("Pending", "Shadow"):
        return now + min(interval, _PREPARING_SECONDS)
    last = state.decision_at if state.decision_at is not None else state.started_at
    if state.paused_by or last is None or last > now:
        return now + interval
    return min(now + interval, max(now, last + interval))
