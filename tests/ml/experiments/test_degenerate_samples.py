"""Samples in which nothing varies: they must neither hide harm nor make a claim."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bench.simulate.report import at_most
from ml.experiments.decision import Decision, decide
from ml.experiments.evidence import Contrast, contrast, harm_evidence, single
from ml.experiments.history import EpochRecord
from ml.experiments.rates import EventCounts, sequential_rate_test
from ml.experiments.ratio import RatioSums, mean_sums, proportion_sums
from ml.experiments.specification import ExperimentSpec, Guardrail
from ml.experiments.validation import FloatArray
from tests.ml.experiments.deciding import ACCURACY, SLOW, codes, history, same, specification

BETTER = {"stable": 0.05, "candidate-a": 0.09}
RATING = Guardrail(name="rating", harmful="decrease", margin=0.5)
FAILED_AT_MOST_ONE_PERCENT = Guardrail(name="failed", harmful="increase", against="limit", margin=0.01)


def proportions(n: int, rates: dict[str, float]) -> dict[str, RatioSums]:
    return {arm: proportion_sums(round(rate * n), n) for arm, rate in rates.items()}


def constant(value: float, n: int) -> RatioSums:
    """Sums of n units that all have the same value, added up one by one with all rounding."""
    total = float(np.cumsum(np.full(n, value))[-1])
    return mean_sums(n, total, total * value)


def decided(guardrail: Guardrail, sums: dict[str, RatioSums], **changes: object) -> Decision:
    n = 8_000
    record = EpochRecord(
        started_at=0.0,
        weights={"stable": 500, "candidate-a": 500},
        units={"stable": n, "candidate-a": n},
        metrics={"conversion": proportions(n, BETTER), guardrail.name: sums},
    )
    spec: ExperimentSpec = specification(guardrails=(guardrail,), **changes)
    return decide(spec, history(record), 610.0)


@pytest.mark.parametrize("share", [0.06, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("n", [1_000, 8_000])
def test_treatment_is_rolled_back_when_it_exceeds_a_limit(share: float, n: int) -> None:
    decision = decided(FAILED_AT_MOST_ONE_PERCENT, proportions(n, same(share)))
    assert (decision.action, codes(decision)) == ("roll back", ["guardrail_breached"])


def test_treatment_is_rolled_back_when_it_never_reaches_a_lower_limit() -> None:
    floor = Guardrail(name="correct", harmful="decrease", against="limit", margin=0.9)
    assert decided(floor, proportions(8_000, {"stable": 1.0, "candidate-a": 0.0})).action == "roll back"
    assert decided(floor, proportions(8_000, {"stable": 0.0, "candidate-a": 1.0})).action == "promote"


@pytest.mark.parametrize(
    ("stable", "treatment", "action"),
    [(1.0, 0.0, "roll back"), (1.0, 1.0, "promote"), (0.0, 0.0, "promote"), (0.0, 1.0, "promote")],
)
def test_contrast_is_judged_when_neither_arm_varies(stable: float, treatment: float, action: str) -> None:
    assert decided(ACCURACY, proportions(8_000, {"stable": stable, "candidate-a": treatment})).action == action


def test_treatment_is_rolled_back_when_its_primary_never_happens_and_controls_always_does() -> None:
    record = EpochRecord(
        started_at=0.0,
        weights={"stable": 500, "candidate-a": 500},
        units={"stable": 2_000, "candidate-a": 2_000},
        metrics={"conversion": proportions(2_000, {"stable": 1.0, "candidate-a": 0.0})},
    )
    decision = decide(specification(guardrails=()), history(record), 610.0)
    assert codes(decision) == ["primary_worse"]


def test_treatment_is_not_promoted_when_it_looks_harmful_and_nothing_varies() -> None:
    sums = {"stable": constant(5.0, 8_000), "candidate-a": constant(1.0, 8_000)}
    decision = decided(RATING, sums)
    assert (decision.action, codes(decision)) == ("continue", ["guardrail_unproven", "running"])
    over = decided(RATING, sums, duration_seconds=600.0)
    assert (over.action, codes(over)) == ("inconclusive", ["guardrail_unproven", "time_up"])
    (item,) = [item for item in decision.evidence if item.metric == "rating"]
    assert (item.verdict, item.estimate, item.standard_error, item.p_value) == ("suspect", -4.0, None, None)


@pytest.mark.parametrize("treatment", [4.7, 4.3, 5.0])
def test_treatment_is_promoted_when_nothing_varies_and_nothing_looks_harmful(treatment: float) -> None:
    sums = {"stable": constant(4.7, 7_777), "candidate-a": constant(treatment, 8_000)}
    decision = decided(RATING, sums)
    assert decision.action == "promote"
    assert next(item.verdict for item in decision.evidence if item.metric == "rating") != "suspect"


@pytest.mark.parametrize("harmful", ["increase", "decrease"])
def test_rounding_is_no_harm_when_no_margin_is_left(harmful: str) -> None:
    strict = Guardrail(name="rating", harmful=harmful)  # pyright: ignore[reportArgumentType] one of the allowed words
    for counts in ((7_777, 8_000), (8_000, 7_777)):
        sums = {arm: constant(0.1, n) for arm, n in zip(("stable", "candidate-a"), counts, strict=True)}
        assert decided(strict, sums).action == "promote"


def test_constant_value_beyond_a_limit_keeps_a_treatment_back_when_it_is_no_share() -> None:
    slow = Guardrail(name="seconds", harmful="increase", against="limit", margin=2.0)
    assert decided(slow, {"candidate-a": constant(3.0, 8_000)}).action != "promote"
    assert decided(slow, {"candidate-a": constant(1.0, 8_000)}).action == "promote"


def test_rate_test_has_a_bound_when_all_of_very_many_events_are_the_treatments() -> None:
    found = sequential_rate_test([EventCounts(0.001, 0.0, 1e9)], margin_ratio=1.1, alpha=0.01)
    assert found.lower_bound > 1e8
    assert found.p_value == 0.0


def test_nothing_is_claimed_when_a_metric_that_is_no_share_does_not_vary() -> None:
    effect = contrast(rows(np.array([5.0, 25.0]), 2_000), rows(np.array([1.0, 1.0]), 2_000))
    assert effect.standard_error == 0.0


# How often a sound treatment is called harmful -----------------------------------------------------------------------
ALPHA = 0.05
LOOKS = tuple(int(n) for n in np.geomspace(150, 8_000, 14))
RUNS = 250


def rows(moments: FloatArray, n: int) -> FloatArray:
    """One epoch of n units with these means of the values and of their squares."""
    y, yy = moments * n
    return np.array([[n, y, n, yy, n, y]], dtype=np.float64)


def counted(hits: int, n: int) -> FloatArray:
    return np.array([[n, hits, n, hits, n, hits]], dtype=np.float64)


def ever_worse(look: Callable[[int], Contrast], *, increase: bool, null_value: float) -> bool:
    return any(
        harm_evidence(
            "m",
            "a",
            "guardrail",
            look(index),
            harmful_increase=increase,
            null_value=null_value,
            alpha=ALPHA,
            tuned_for=1_000.0,
            minimum_n=100,
        ).verdict
        == "worse"
        for index in range(len(LOOKS))
    )


def running_hits(rng: np.random.Generator, rate: float) -> list[int]:
    return [int(hits) for hits in rng.binomial(np.diff((0, *LOOKS)), rate).cumsum()]


@pytest.mark.parametrize("limit", [SLOW.margin, 0.5, 0.95, 0.99])
@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_limit_guardrail_keeps_its_error_when_looked_at_often(limit: float, part: float) -> None:
    rng = np.random.default_rng(round(1_000 * limit + part))
    found = 0
    for _ in range(RUNS):
        hits = running_hits(rng, limit * part)
        found += ever_worse(
            lambda index, hits=hits: single(counted(hits[index], LOOKS[index]), limit=limit, harmful_increase=True),
            increase=True,
            null_value=limit,
        )
    assert at_most("false alarms", found, RUNS, ALPHA).holds, found


@pytest.mark.parametrize(
    ("control", "treatment", "increase"),
    [
        (0.0, 0.0, True),
        (0.0, 0.0, False),
        (1.0, 1.0, True),
        (1.0, 1.0, False),
        (1.0, 0.999, True),
        (0.999, 1.0, False),
        (0.999, 0.999, False),
    ],
)
def test_contrast_keeps_its_error_when_arms_hardly_vary(control: float, treatment: float, increase: bool) -> None:
    rng = np.random.default_rng(11)
    found = 0
    for _ in range(RUNS):
        of_control, of_treatment = running_hits(rng, control), running_hits(rng, treatment)
        found += ever_worse(
            lambda index, c=of_control, t=of_treatment: contrast(
                counted(c[index], LOOKS[index]), counted(t[index], LOOKS[index])
            ),
            increase=increase,
            null_value=0.0,
        )
    assert at_most("false alarms", found, RUNS, ALPHA).holds, found
