"""The status of an `ABTest`, derived from state and observation; whatever it says can be derived again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast

from ml.contracts.abtest_status import LONGEST_MESSAGE, AbTestStatus, Condition, LastDecision
from ml.controller.admission import plan_message
from ml.controller.observation import Observation
from ml.controller.ports import AbTest
from ml.controller.routing import all_to, same_route, wanted_route
from ml.controller.state import ACTIVE_PHASES, ExperimentState
from ml.experiments.decision import CLOCK_SKEW_SECONDS
from ml.experiments.ramp import gateway_weights
from ml.experiments.specification import TOTAL_WEIGHT

_WORDS: Final[Mapping[bool | None, Literal["True", "False", "Unknown"]]] = {
    True: "True",
    False: "False",
    None: "Unknown",
}
_LARGEST_PROBLEMS: Final = 100


def status_document(
    state: ExperimentState,
    observation: Observation,
    test: AbTest,
    now: float,
    *,
    behind: Sequence[str] = (),
    waiting: str = "",
    trouble: str = "",
) -> dict[str, Any]:
    """Return the whole status as the API server takes it.

    Args:
        state: of the experiment.
        observation: of this reconcile.
        test: the object; its present status says since when conditions hold.
        now: seconds since 1970.
        behind: experiments of the model that come first, while it is not admitted.
        waiting: why it is not admitted yet.
        trouble: what did not work in this reconcile.
    """
    conditions = _conditions(state, observation, test, now, waiting=waiting, trouble=trouble)
    common: dict[str, Any] = {
        "phase": state.phase,
        "message": _short(waiting or state.message or state.reason),
        "observed_generation": test.generation,
        "conditions": conditions,
        "problems": tuple(_short(problem) for problem in state.refused[:_LARGEST_PROBLEMS]),
        "behind": tuple(behind[:_LARGEST_PROBLEMS]),
    }
    if state.promise is None:
        return AbTestStatus(**common).model_dump(by_alias=True, exclude_none=True, mode="json")
    weights = _weights(state, observation)
    treatments = sum(weight for arm, weight in weights.items() if arm != state.specification.control)
    samples = _samples(state)
    required = state.specification.planned_n
    status = AbTestStatus(
        **common,
        epoch=len(state.settled_epochs),
        weights=weights,
        candidate_share=f"{100 * treatments / (sum(weights.values()) or TOTAL_WEIGHT):.1f} %",
        samples=samples,
        required_sample=required,
        looks=len(state.looks),
        progress=f"{min(samples.values(), default=0):,}/{required:,}",
        last_decision=_last_decision(state),
        started_at=_moment(state.started_at),
        ended_at=_moment(state.ended_at),
        winner=state.winner,
    )
    return status.model_dump(by_alias=True, exclude_none=True, mode="json")


def unreadable_status(test: AbTest, trouble: str, now: float) -> dict[str, Any]:
    """Return the present status with the word that nothing newer is known of the experiment, and why."""
    conditions = cast("list[dict[str, Any]]", test.status.get("conditions", []))
    old = {item.get("type", ""): item for item in conditions}
    told = Condition(
        type="Reconciled",
        status="False",
        reason="Unreadable",
        message=_short(trouble),
        last_transition_time=_since(old.get("Reconciled"), "False", now),
        observed_generation=test.generation,
    )
    kept = [item for kind, item in old.items() if kind != "Reconciled"]
    return {**test.status, "conditions": [*kept, told.model_dump(by_alias=True, exclude_none=True, mode="json")]}


def _weights(state: ExperimentState, observation: Observation) -> dict[str, int]:
    if state.is_final:
        return dict(all_to(state.specification.arms, state.specification.control))
    if observation.in_force is not None:
        return {arm: observation.in_force.weights.get(arm, 0) for arm in state.specification.arms}
    settled = list(state.settled_epochs.values())
    return dict(gateway_weights(state.specification, settled[-1].weights)) if settled else {}


def _samples(state: ExperimentState) -> dict[str, int]:
    """Return the units of all epochs per arm, as the newest decision saw them."""
    epochs: Mapping[str, Any] = state.chain.document.get("epochs", {})
    return {arm: sum(int(epoch["units"].get(arm, 0)) for epoch in epochs.values()) for arm in state.specification.arms}


def _last_decision(state: ExperimentState) -> LastDecision | None:
    at = _moment(state.decision_at)
    if at is None:
        return None
    reasons = cast("list[dict[str, Any]]", state.decision.get("reasons", []))
    message = "; ".join(str(reason.get("message", "")) for reason in reasons)
    action = str(state.decision.get("action"))
    return LastDecision(action=action, message=_short(message), at=at, hash=state.chain.hash)


def _conditions(
    state: ExperimentState, observation: Observation, test: AbTest, now: float, *, waiting: str, trouble: str
) -> tuple[Condition, ...]:
    admitted = False if state.refused else state.promise is not None
    refused = "Refused" if state.refused else "Waiting"
    promised = plan_message(state.promise.plan) if state.promise is not None and state.promise.plan else ""
    found: list[tuple[str, bool | None, str, str]] = [
        ("Admitted", admitted, "Admitted" if admitted else refused, "; ".join(state.refused) or waiting or promised),
        ("Reconciled", not trouble, "Unavailable" if trouble else "Reconciled", trouble),
    ]
    if state.is_running:
        found += [_traffic(state, observation, now), _ready(state, observation), _fresh(state, now)]
        found.append(("Paused", bool(state.paused_by), "Paused" if state.paused_by else "NotPaused", ""))
    old: Mapping[str, Mapping[str, Any]] = {item.get("type", ""): item for item in test.status.get("conditions", [])}
    return tuple(
        Condition(
            type=kind,
            status=_WORDS[value],
            reason=reason,
            message=_short(message),
            last_transition_time=_since(old.get(kind), _WORDS[value], now),
            observed_generation=test.generation,
        )
        for kind, value, reason, message in found
    )


def _traffic(state: ExperimentState, observation: Observation, now: float) -> tuple[str, bool | None, str, str]:
    wanted = wanted_route(state, observation, now)
    if wanted is None or observation.in_force is None:
        return "TrafficInForce", None, "NotKnown", "what the gateway has is not known"
    there = same_route(wanted, observation.in_force, mirrors=False)
    return "TrafficInForce", there, "InForce" if there else "Waiting", "" if there else "the gateway has other weights"


def _ready(state: ExperimentState, observation: Observation) -> tuple[str, bool | None, str, str]:
    arms = (state.specification.control, *state.active)
    states = [observation.ready(arm) for arm in arms]
    unready = [arm for arm, ready in zip(arms, states, strict=True) if ready is False]
    if unready:
        return "SlotsReady", False, "NotReady", f"slots {', '.join(unready)} are not ready"
    return ("SlotsReady", True, "Ready", "") if all(states) else ("SlotsReady", None, "NotKnown", "")


def _fresh(state: ExperimentState, now: float) -> tuple[str, bool | None, str, str]:
    newest: float | None = state.chain.document.get("last_data_at")
    if newest is None or state.phase not in ACTIVE_PHASES:
        return "DataFresh", None, "NoData", "no source has all that is needed yet"
    age = now - newest
    # A decision is taken every interval, so the data that it saw may be older by one interval now.
    limit = state.spec.no_data.stale_after_seconds + state.spec.reconcile_interval_seconds
    fresh = -CLOCK_SKEW_SECONDS <= age <= limit
    return "DataFresh", fresh, "Fresh" if fresh else "Stale", "" if fresh else "the data are too old to decide on"


def _since(old: Mapping[str, Any] | None, status: str, now: float) -> str:
    if old is not None and old.get("status") == status and old.get("lastTransitionTime"):
        return str(old["lastTransitionTime"])
    return _moment(now) or ""


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _short(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 1] + "…"
