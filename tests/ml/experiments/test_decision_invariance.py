"""Decisions are pure: the same inputs, other units or another order change nothing, and errors stay in budget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.experiments.decision import Decision, decide
from ml.experiments.history import EpochRecord, History, LookRecord
from ml.experiments.looks import forget_paths
from ml.experiments.planning import required_n
from ml.experiments.ratio import RatioSums, mean_sums, proportion_sums
from ml.experiments.specification import PrimaryMetric
from tests.ml.experiments.deciding import PRIMARY, epoch, history, same, specification


def test_interval_widens_when_returning_users_inflate_the_variance() -> None:
    rates = {"conversion": {"stable": 0.05, "candidate-a": 0.07}, "errors": same(0.01)}
    plain = decide(specification(), history(epoch(4_000, rates)), 610.0)
    inflated = decide(specification(), history(epoch(4_000, rates), variance_inflation={"conversion": 4.0}), 610.0)
    errors = [next(i for i in d.evidence if i.role == "primary").standard_error for d in (plain, inflated)]
    assert errors[1] == pytest.approx(2.0 * (errors[0] or 0.0))
    assert (plain.action, inflated.action) == ("promote", "continue")


def test_decision_is_the_same_bit_for_bit_when_memory_is_lost() -> None:
    spec, rates = specification(), {"conversion": {"stable": 0.05, "candidate-a": 0.053}, "errors": same(0.01)}
    looks: list[LookRecord] = []
    taken: list[tuple[History, Decision]] = []
    for k in range(10, 60, 3):
        record = history(epoch(100 * k, rates), looks=tuple(looks))
        decision = decide(spec, record, 610.0)
        taken.append((record, decision))
        if decision.look is not None:
            looks.append(decision.look)
    assert len(looks) > 10
    forget_paths()
    assert [decide(spec, record, 610.0) for record, _ in reversed(taken)] == [d for _, d in reversed(taken)]


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 100.0), st.integers(0, 1_000))
def test_decision_does_not_depend_on_the_unit_when_metrics_are_rescaled(unit: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = {"stable": rng.normal(10, 3, 2_000), "candidate-a": rng.normal(10 + rng.uniform(-1, 1), 3, 2_000)}

    def run(scale: float) -> Decision:
        primary = PrimaryMetric(
            name="score",
            better="increase",
            minimum_effect=0.3 * scale,
            baseline=10 * scale,
            standard_deviation=3 * scale,
        )
        sums: dict[str, RatioSums] = {
            arm: mean_sums(x.size, float((scale * x).sum()), float(((scale * x) ** 2).sum()))
            for arm, x in samples.items()
        }
        record = EpochRecord(
            started_at=0.0, weights={"stable": 500, "candidate-a": 500}, units={}, metrics={"score": sums}
        )
        return decide(specification(primary=primary, guardrails=(), planned_n=4_000), history(record), 610.0)

    assert run(1.0).action == run(unit).action
    a, b = (next(i for i in run(s).evidence if i.role == "primary harm").statistic for s in (1.0, unit))
    assert a == pytest.approx(b, rel=1e-5, abs=1e-6)


def test_decision_does_not_depend_on_the_order_of_treatments_when_they_are_swapped() -> None:
    rates = {"conversion": {"stable": 0.05, "a": 0.062, "b": 0.09}, "errors": {"stable": 0.01, "a": 0.012, "b": 0.01}}
    weights = {"stable": 340, "a": 330, "b": 330}
    results = [
        decide(specification(treatments=order, shares=(0.33, 0.33)), history(epoch(4_000, rates, weights)), 610.0)
        for order in (("a", "b"), ("b", "a"))
    ]
    assert results[0].arms == results[1].arms
    by_key = [{(i.metric, i.arm, i.role): i for i in result.evidence} for result in results]
    assert by_key[0] == by_key[1]


@pytest.mark.slow
def test_plan_grows_when_arms_are_added_or_the_end_is_open() -> None:
    one, three = required_n(PRIMARY), required_n(PRIMARY, treatments=3)
    assert (
        one.fixed_n < one.required_n < three.required_n < required_n(PRIMARY, treatments=3, open_ended=True).required_n
    )
    assert one.expected_n < one.fixed_n
    assert one.inflation == pytest.approx(1.055, abs=0.002)


@pytest.mark.slow
def test_false_promotions_stay_within_alpha_when_decide_itself_is_run_on_equal_arms() -> None:
    rng = np.random.default_rng(11)
    spec = specification(planned_n=4_000, alpha=0.2, guardrails=())
    ends: list[str] = []
    for _ in range(150):
        looks: list[LookRecord] = []
        hits = np.zeros(2)
        action = "continue"
        for k in range(1, 21):
            hits += rng.binomial(200, 0.05, 2)
            n = 200 * k
            metrics = {
                "conversion": {"stable": proportion_sums(hits[0], n), "candidate-a": proportion_sums(hits[1], n)}
            }
            record = EpochRecord(started_at=0.0, weights={"stable": 500, "candidate-a": 500}, units={}, metrics=metrics)
            decision = decide(spec, history(record, looks=tuple(looks)), 610.0)
            if decision.look is not None:
                looks.append(decision.look)
            action = decision.action
            if action != "continue":
                break
        ends.append(action)
    assert ends.count("promote") / 150 <= 0.1 + 2 * (0.1 * 0.9 / 150) ** 0.5
    assert ends.count("roll back") / 150 <= 0.08 + 2 * (0.08 * 0.92 / 150) ** 0.5
    assert set(ends) <= {"promote", "roll back", "inconclusive"}
