"""The rule of an experiment: assignment, freshness, ramp and several treatments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ml.experiments.decision import decide
from ml.experiments.history import EpochRecord, History, LookRecord
from ml.experiments.ramp import weights_at
from ml.experiments.ratio import proportion_sums
from ml.experiments.specification import Ramp
from tests.ml.experiments.deciding import codes, epoch, history, same, specification


def test_experiment_is_invalid_when_users_leak() -> None:
    record = epoch(3_000, {"conversion": same(0.05), "errors": same(0.01)})
    record = replace(record, units={"stable": 3_000, "candidate-a": 2_600})
    decision = decide(specification(), history(record), 610.0)
    assert (decision.action, codes(decision)) == ("invalid", ["sample_ratio_mismatch"])
    assert decision.weights == {"stable": 1000, "candidate-a": 0}


def test_ramp_is_no_mismatch_when_each_epoch_keeps_its_weights() -> None:
    rates = {"conversion": same(0.05), "errors": same(0.01)}
    records = [
        replace(
            epoch(2_000, rates, {"stable": 1000 - w, "candidate-a": w}, float(w)),
            units={"stable": 9 * (1000 - w), "candidate-a": 9 * w},
        )
        for w in (50, 200, 500)
    ]
    assert decide(specification(), history(*records), 610.0).action == "continue"


def test_stray_units_are_noted_when_their_arm_has_no_weight() -> None:
    record = replace(
        epoch(3_000, {"conversion": same(0.05), "errors": same(0.01)}, {"stable": 1000, "candidate-a": 0}),
        units={"stable": 3_000, "candidate-a": 2},
    )
    decision = decide(specification(), history(record), 610.0)
    assert "unexpected_units" in codes(decision)
    assert decision.action != "invalid"


@pytest.mark.parametrize(
    ("age", "action", "code"),
    [
        (30.0, "continue", "running"),
        (300.0, "hold", "stale_data"),
        (5_000.0, "inconclusive", "no_data_timeout"),
        (-30.0, "continue", "running"),
        (-90.0, "hold", "stale_data"),
    ],
)
def test_age_of_the_data_decides_when_nothing_else_does(age: float, action: str, code: str) -> None:
    decision = decide(
        specification(), history(epoch(3_000, {"conversion": same(0.05), "errors": same(0.01)})), 600.0 + age
    )
    assert decision.action == action
    assert code in codes(decision)


def test_nothing_is_promoted_when_the_data_are_stale() -> None:
    rates = {"conversion": {"stable": 0.05, "candidate-a": 0.1}, "errors": same(0.01)}
    assert decide(specification(), history(epoch(6_000, rates)), 600.0 + 300.0).action == "hold"


def test_experiment_holds_when_no_observation_was_ever_made() -> None:
    empty = EpochRecord(started_at=0.0, weights={"stable": 500, "candidate-a": 500}, units={}, metrics={})
    decision = decide(specification(), History(started_at=0.0, epochs=(empty,)), 60.0)
    assert (decision.action, codes(decision)) == ("hold", ["no_data_yet"])


def test_experiment_holds_when_the_primary_is_not_known_for_an_arm() -> None:
    decision = decide(
        specification(), history(epoch(3_000, {"conversion": {"stable": 0.05}, "errors": same(0.01)})), 610.0
    )
    assert (decision.action, codes(decision)) == ("hold", ["metric_missing"])


def test_weights_follow_the_ramp_when_a_step_is_due() -> None:
    spec = specification(ramp=Ramp(seconds=1_000.0, steps=9))
    now = weights_at(spec, 250.0)
    record = history(
        epoch(2_000, {"conversion": same(0.05), "errors": same(0.01)}, dict(weights_at(spec, 0.0))), at=250.0
    )
    record = replace(record, epochs=(replace(record.epochs[0], units={"stable": 1_900, "candidate-a": 100}),))
    decision = decide(spec, record, 250.0)
    assert (decision.action, codes(decision)) == ("ramp", ["ramp_due"])
    assert decision.weights == now == {"stable": 850, "candidate-a": 150}


def test_one_treatment_leaves_and_the_other_stays_when_only_one_is_harmful() -> None:
    spec = specification(treatments=("a", "b"), shares=(0.33, 0.33))
    weights = {"stable": 340, "a": 330, "b": 330}
    rates = {"conversion": {"stable": 0.05, "a": 0.05, "b": 0.05}, "errors": {"stable": 0.01, "a": 0.06, "b": 0.01}}
    first = decide(spec, history(epoch(2_000, rates, weights)), 610.0)
    assert (first.action, first.arms) == ("roll back", ("a",))
    assert first.weights == {"stable": 670, "a": 0, "b": 330}
    after = replace(epoch(1_000, rates, dict(first.weights), 700.0), units={"stable": 2_030, "b": 1_000})
    second = decide(spec, history(epoch(2_000, rates, weights), after, dropped=("a",)), 610.0)
    assert second.action == "continue"
    assert {item.arm for item in second.evidence} == {"b"}


def test_best_of_two_is_promoted_when_both_are_better() -> None:
    spec = specification(treatments=("a", "b"), shares=(0.33, 0.33))
    rates = {"conversion": {"stable": 0.05, "a": 0.08, "b": 0.09}, "errors": {"stable": 0.01, "a": 0.01, "b": 0.01}}
    assert decide(spec, history(epoch(5_000, rates, {"stable": 340, "a": 330, "b": 330})), 610.0).arms == ("b",)


def one_candidate_short(n: int, short: int) -> History:
    """Both treatments beat control, b by far; b has only `short` units."""
    rates = {"conversion": {"stable": 0.25, "a": 0.4, "b": 0.6}, "errors": {"stable": 0.01, "a": 0.01, "b": 0.01}}
    shares = {"stable": 340, "a": 330, "b": 330}
    units = {"stable": n, "a": n, "b": short}
    whole = epoch(n, rates, shares)
    metrics = {
        name: {arm: proportion_sums(round(rate * units[arm]), units[arm]) for arm, rate in by_arm.items()}
        for name, by_arm in rates.items()
    }
    return history(replace(whole, metrics=metrics))


@pytest.mark.parametrize("planned_n", [1_000, 8_000])
def test_first_to_cross_waits_when_another_treatment_lacks_the_minimum(planned_n: int) -> None:
    spec = specification(treatments=("a", "b"), shares=(0.33, 0.33), planned_n=planned_n)
    early = decide(spec, one_candidate_short(1_001, 999), 610.0)
    assert (early.action, codes(early)) == ("continue", ["treatment_too_early", "running"])
    assert early.look is not None
    assert early.look.crossed == ("a",)
    grown = replace(one_candidate_short(1_100, 1_001), looks=(early.look,))
    later = decide(spec, grown, 610.0)
    assert (later.action, later.arms) == ("promote", ("b",))


@pytest.mark.parametrize("ends", ["the time is over", "it has twice its plan", "the other was dropped"])
def test_first_to_cross_waits_no_longer_when(ends: str) -> None:
    spec = specification(treatments=("a", "b"), shares=(0.33, 0.33), duration_seconds=3_600.0)
    record, now = one_candidate_short(16_000 if ends == "it has twice its plan" else 2_000, 500), 610.0
    if ends == "the other was dropped":
        record = replace(record, dropped=("b",))
    if ends == "the time is over":
        record, now = replace(record, last_data_at=3_600.0), 3_600.0
    decision = decide(spec, record, now)
    assert (decision.action, decision.arms) == ("promote", ("a",))


def test_decision_says_so_when_all_treatments_were_dropped() -> None:
    decision = decide(specification(), history(dropped=("candidate-a",)), 610.0)
    assert (decision.action, codes(decision)) == ("roll back", ["all_treatments_dropped"])


def test_no_look_is_taken_when_nothing_new_has_come_in() -> None:
    record = history(
        epoch(3_000, {"conversion": same(0.05), "errors": same(0.01)}),
        looks=(LookRecord(at=500.0, fractions={"candidate-a": 3_000 / 8_000}),),
    )
    assert decide(specification(), record, 610.0).look is None


def test_zero_outcomes_are_no_error_when_nothing_ever_happens() -> None:
    decision = decide(specification(), history(epoch(3_000, {"conversion": same(0.0), "errors": same(0.0)})), 610.0)
    assert decision.action == "continue"
    assert {item.verdict for item in decision.evidence} == {"too early"}
