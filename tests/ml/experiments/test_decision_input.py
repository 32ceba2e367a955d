"""Specifications and histories that make no sense are refused with the name of the field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ml.experiments.decision import decide
from ml.experiments.history import LookRecord
from ml.experiments.specification import ErrorBudget, Guardrail, PrimaryMetric, Ramp
from tests.ml.experiments.deciding import ERRORS, epoch, history, same, specification


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"treatments": ()}, "treatments"),
        ({"treatments": ("stable",)}, "treatments"),
        ({"shares": (0.5, 0.2)}, "shares"),
        ({"shares": (1.0,)}, "shares"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": float("nan")}, "alpha"),
        ({"planned_n": 0}, "planned_n"),
        ({"mode": "bayes"}, "mode"),
        ({"futility_power": 0.5}, "futility_power"),
        ({"duration_seconds": -1.0}, "duration_seconds"),
        ({"guardrails": (ERRORS, ERRORS)}, "guardrails"),
        ({"secondary": ("conversion",)}, "secondary"),
        ({"no_data_timeout_seconds": 1.0}, "no_data_timeout_seconds"),
    ],
)
def test_specification_is_refused_when_a_field_makes_no_sense(changes: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        specification(**changes)


def test_parts_are_refused_when_they_make_no_sense() -> None:
    with pytest.raises(ValueError, match="minimum_effect"):
        PrimaryMetric(name="c", better="increase", minimum_effect=0.96, baseline=0.05)
    with pytest.raises(ValueError, match="budget"):
        ErrorBudget(promotion=0.8, rollback=0.3)
    with pytest.raises(ValueError, match="rate"):
        Guardrail(name="e", harmful="decrease", test="rate")
    with pytest.raises(ValueError, match="relative_margin"):
        Guardrail(name="e", harmful="increase", against="limit", relative_margin=0.1)
    with pytest.raises(ValueError, match="steps"):
        Ramp(steps=0)


def test_history_is_refused_when_arms_are_unknown_or_time_runs_backwards() -> None:
    good = epoch(100, {"conversion": same(0.05)})
    with pytest.raises(ValueError, match="weights"):
        decide(specification(), history(replace(good, weights={"stable": 1000})), 610.0)
    with pytest.raises(ValueError, match="units"):
        decide(specification(), history(replace(good, units={"ghost": 1})), 610.0)
    with pytest.raises(ValueError, match="dropped"):
        decide(specification(), history(good, dropped=("ghost",)), 610.0)
    with pytest.raises(ValueError, match="epochs"):
        history(replace(good, started_at=5.0), good)
    with pytest.raises(ValueError, match="now"):
        decide(specification(), history(good), float("inf"))


def test_information_is_refused_when_looks_go_backwards() -> None:
    looks = (LookRecord(at=1.0, fractions={"candidate-a": 0.4}), LookRecord(at=2.0, fractions={"candidate-a": 0.3}))
    with pytest.raises(ValueError, match="never goes backwards"):
        decide(
            specification(), history(epoch(4_000, {"conversion": same(0.05), "errors": same(0.01)}), looks=looks), 610.0
        )
