"""Experiments with exactly known rates, for the tests of decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.experiments.decision import Decision
from ml.experiments.history import EpochRecord, History
from ml.experiments.ratio import proportion_sums
from ml.experiments.specification import ExperimentSpec, Guardrail, PrimaryMetric, Ramp

PRIMARY = PrimaryMetric(name="conversion", better="increase", minimum_effect=0.01, baseline=0.05)
ERRORS = Guardrail(name="errors", harmful="increase", margin=0.005)
SLOW = Guardrail(name="over-100-ms", harmful="increase", against="limit", margin=0.05)
ACCURACY = Guardrail(name="accuracy", harmful="decrease", relative_margin=0.1)


def specification(**changes: Any) -> ExperimentSpec:
    fields: dict[str, Any] = {
        "control": "stable",
        "treatments": ("candidate-a",),
        "shares": (0.5,),
        "primary": PRIMARY,
        "planned_n": 8_000,
        "guardrails": (ERRORS,),
        "ramp": Ramp(seconds=0.0),
    }
    return ExperimentSpec(**{**fields, **changes})


def epoch(
    n: int, rates: Mapping[str, Mapping[str, float]], weights: Mapping[str, int] | None = None, started_at: float = 0.0
) -> EpochRecord:
    """An epoch with n units per arm and exactly the given rates."""
    arms = weights or {"stable": 500, "candidate-a": 500}
    units = {arm: n if weight else 0 for arm, weight in arms.items()}
    return EpochRecord(
        started_at=started_at,
        weights=arms,
        units=units,
        metrics={
            metric: {arm: proportion_sums(round(rate * units[arm]), units[arm]) for arm, rate in by_arm.items()}
            for metric, by_arm in rates.items()
        },
    )


def same(rate: float) -> dict[str, float]:
    return {"stable": rate, "candidate-a": rate}


def history(*epochs: EpochRecord, at: float = 600.0, **changes: Any) -> History:
    return History(started_at=0.0, epochs=epochs, last_data_at=at, **changes)


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]
