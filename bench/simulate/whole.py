"""Whole experiments through `decide` itself: yes-no outcomes, a ramp in epochs, drifting baselines, two treatments."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bench.simulate.draws import binomial
from bench.simulate.report import Line, at_least, at_most
from ml.experiments.decision import Action, decide
from ml.experiments.history import EpochRecord, History
from ml.experiments.ramp import all_to
from ml.experiments.ratio import proportion_sums
from ml.experiments.specification import ExperimentSpec, Guardrail, PrimaryMetric, Ramp

LOOK_SECONDS = 30.0
LOOKS = 60
USERS_PER_LOOK = 600


def specification() -> ExperimentSpec:
    """Two treatments, an error guardrail and an accuracy guardrail, a ramp over the first third."""
    return ExperimentSpec(
        control="stable",
        treatments=("candidate-a", "candidate-b"),
        shares=(0.33, 0.33),
        primary=PrimaryMetric(name="conversion", better="increase", minimum_effect=0.02, baseline=0.1),
        planned_n=10_000,
        guardrails=(
            Guardrail(name="errors", harmful="increase"),
            Guardrail(name="accuracy", harmful="decrease"),
        ),
        ramp=Ramp(seconds=LOOK_SECONDS * LOOKS / 3, steps=5),
    )


@dataclass
class _Counts:
    """Users and successes of the epoch under way, per arm."""

    users: dict[str, int]
    hits: dict[str, dict[str, int]]


def follow(
    spec: ExperimentSpec, rates: Mapping[str, Mapping[str, float]], rng: np.random.Generator
) -> tuple[Action, tuple[str, ...]]:
    """Run one experiment to its end and return the last action and whom it was about."""
    history = History(started_at=0.0)
    weights: Mapping[str, int] = all_to(spec, spec.control)
    open_epoch = _Counts({}, {})
    for look in range(LOOKS + 1):
        now = look * LOOK_SECONDS
        decision = decide(spec, history, now)
        if decision.look is not None:
            history = replace(history, looks=(*history.looks, decision.look))
        if decision.action in ("promote", "roll back", "inconclusive", "invalid"):
            return decision.action, decision.arms
        if dict(decision.weights) != dict(weights) or not history.epochs:
            weights = decision.weights
            open_epoch = _Counts(dict.fromkeys(spec.arms, 0), {m: dict.fromkeys(spec.arms, 0) for m in rates})
            history = replace(history, epochs=(*history.epochs, _record(open_epoch, weights, now)))
        _fill(open_epoch, spec, weights, rates, rng, drift=0.02 * math.sin(look / 8.0))
        started = history.epochs[-1].started_at
        history = replace(
            history,
            epochs=(*history.epochs[:-1], _record(open_epoch, weights, started)),
            last_data_at=now + LOOK_SECONDS,
        )
    return "continue", ()


def _fill(
    counts: _Counts,
    spec: ExperimentSpec,
    weights: Mapping[str, int],
    rates: Mapping[str, Mapping[str, float]],
    rng: np.random.Generator,
    drift: float,
) -> None:
    shares = np.array([weights[arm] for arm in spec.arms]) / 1000.0
    for arm, users in zip(spec.arms, rng.multinomial(USERS_PER_LOOK, shares).tolist(), strict=True):
        counts.users[arm] += users
        for metric, by_arm in rates.items():
            counts.hits[metric][arm] += binomial(rng, users, min(1.0, by_arm[arm] + drift))


def _record(counts: _Counts, weights: Mapping[str, int], started_at: float) -> EpochRecord:
    metrics = {
        metric: {arm: proportion_sums(hits[arm], counts.users[arm]) for arm in hits if counts.users[arm] > 0}
        for metric, hits in counts.hits.items()
    }
    return EpochRecord(started_at=started_at, weights=dict(weights), units=dict(counts.users), metrics=metrics)


def rates(**changes: float) -> dict[str, dict[str, float]]:
    """Equal rates for all arms, with changes for the first candidate."""
    base = {"conversion": 0.1, "errors": 0.04, "accuracy": 0.9}
    return {m: {"stable": r, "candidate-a": r + changes.get(m, 0.0), "candidate-b": r} for m, r in base.items()}


def lines(runs: int, seed: int) -> Iterator[Line]:
    """Yield the family-wise error of `decide`, and how often it finds what is really there."""
    spec, rng = specification(), np.random.default_rng(seed)
    ends = [follow(spec, rates(), rng)[0] for _ in range(runs)]
    false = sum(end in ("promote", "roll back", "invalid") for end in ends)
    beside = ", ".join(f"{end} {ends.count(end)}" for end in sorted(set(ends)))
    yield at_most("decide, equal arms, ramp, drift: any false claim", false, runs, spec.alpha, beside)
    few = max(50, runs // 5)
    found = [follow(spec, rates(conversion=0.03), rng) for _ in range(few)]
    yield at_least("decide, conversion +3 points: promoted", found.count(("promote", ("candidate-a",))), few, 0.8)
    for name, change in (("errors", 0.04), ("accuracy", -0.1)):
        found = [follow(spec, rates(**{name: change}), rng) for _ in range(few)]
        yield at_least(
            f"decide, {name} {change:+g}: rolled back", found.count(("roll back", ("candidate-a",))), few, 0.8
        )
