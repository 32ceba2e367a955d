"""The rule of an experiment: every action has a case that leads to it, and neighbours that must not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.experiments.decision import Decision, decide
from ml.experiments.history import EpochRecord, History, LookRecord
from ml.experiments.looks import forget_paths
from ml.experiments.planning import required_n
from ml.experiments.ramp import weights_at
from ml.experiments.ratio import RatioSums, mean_sums, proportion_sums
from ml.experiments.specification import ErrorBudget, ExperimentSpec, Guardrail, PrimaryMetric, Ramp

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


def test_first_weights_are_asked_for_when_nothing_has_begun() -> None:
    decision = decide(specification(ramp=Ramp(seconds=3600.0, steps=49)), History(started_at=0.0), 0.0)
    assert (decision.action, codes(decision)) == ("ramp", ["start"])
    assert decision.weights == {"stable": 990, "candidate-a": 10}


def test_experiment_goes_on_when_nothing_is_shown() -> None:
    decision = decide(specification(), history(epoch(3_000, {"conversion": same(0.05), "errors": same(0.01)})), 610.0)
    assert (decision.action, codes(decision)) == ("continue", ["running"])
    assert decision.look == LookRecord(at=610.0, fractions={"candidate-a": 3_000 / 8_000})
    assert decision.weights == {"stable": 500, "candidate-a": 500}


def test_better_treatment_is_promoted_when_the_boundary_is_crossed() -> None:
    rates = {"conversion": {"stable": 0.05, "candidate-a": 0.075}, "errors": same(0.01)}
    decision = decide(specification(), history(epoch(4_000, rates)), 610.0)
    assert (decision.action, decision.arms, codes(decision)) == ("promote", ("candidate-a",), ["primary_better"])
    assert decision.weights == {"stable": 0, "candidate-a": 1000}
    primary = next(item for item in decision.evidence if item.role == "primary")
    assert primary.statistic is not None
    assert primary.boundary is not None
    assert primary.statistic >= primary.boundary
    assert primary.information_fraction == 0.5
    assert primary.interval is not None
    assert primary.interval.low > 0


def test_same_effect_is_not_promoted_when_information_is_scarce() -> None:
    rates = {"conversion": {"stable": 0.05, "candidate-a": 0.075}, "errors": same(0.01)}
    decision = decide(specification(), history(epoch(1_000, rates)), 610.0)
    assert decision.action == "continue"


def test_decrease_is_promoted_when_lower_is_better() -> None:
    primary = replace(PRIMARY, better="decrease")
    rates = {"conversion": {"stable": 0.075, "candidate-a": 0.05}, "errors": same(0.01)}
    decision = decide(specification(primary=primary), history(epoch(4_000, rates)), 610.0)
    assert decision.action == "promote"


def test_treatment_is_rolled_back_when_errors_exceed_the_margin() -> None:
    rates = {"conversion": same(0.05), "errors": {"stable": 0.01, "candidate-a": 0.05}}
    decision = decide(specification(), history(epoch(2_000, rates)), 610.0)
    assert (decision.action, decision.arms) == ("roll back", ("candidate-a",))
    assert codes(decision) == ["guardrail_breached"]
    assert decision.weights == {"stable": 1000, "candidate-a": 0}


def test_treatment_stays_when_errors_are_inside_the_margin() -> None:
    rates = {"conversion": same(0.05), "errors": {"stable": 0.01, "candidate-a": 0.013}}
    assert decide(specification(), history(epoch(5_000, rates)), 610.0).action == "continue"


def test_treatment_is_rolled_back_when_the_primary_gets_worse() -> None:
    rates = {"conversion": {"stable": 0.08, "candidate-a": 0.04}, "errors": same(0.01)}
    decision = decide(specification(), history(epoch(3_000, rates)), 610.0)
    assert (decision.action, codes(decision)) == ("roll back", ["primary_worse"])


@pytest.mark.parametrize(("share", "action"), [(0.045, "continue"), (0.09, "roll back")])
def test_limit_decides_when_p95_is_tested_by_exceedance(share: float, action: str) -> None:
    rates = {"conversion": same(0.05), "over-100-ms": {"stable": 0.02, "candidate-a": share}}
    assert decide(specification(guardrails=(SLOW,)), history(epoch(3_000, rates)), 610.0).action == action


@pytest.mark.parametrize(("accuracy", "action"), [(0.86, "continue"), (0.72, "roll back")])
def test_relative_margin_decides_when_accuracy_drops(accuracy: float, action: str) -> None:
    rates = {"conversion": same(0.05), "accuracy": {"stable": 0.9, "candidate-a": accuracy}}
    assert decide(specification(guardrails=(ACCURACY,)), history(epoch(3_000, rates)), 610.0).action == action


def test_rare_errors_are_found_early_when_the_exact_test_is_used() -> None:
    exact = Guardrail(name="errors", harmful="increase", test="rate")
    rates = {"conversion": same(0.05), "errors": {"stable": 0.0, "candidate-a": 0.04}}
    early = history(epoch(400, rates))
    assert decide(specification(guardrails=(exact,)), early, 610.0).action == "roll back"
    assert (
        decide(specification(), early, 610.0).action == "continue"
    )  # the approximate test is not allowed to speak yet


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


def test_result_is_inconclusive_when_the_planned_sample_is_reached() -> None:
    decision = decide(specification(), history(epoch(8_000, {"conversion": same(0.05), "errors": same(0.01)})), 610.0)
    assert (decision.action, codes(decision)) == ("inconclusive", ["sample_reached"])


def test_all_alpha_is_spent_when_the_time_is_up() -> None:
    # z = 2.2 at 60 % of the information: not enough on the way, enough as the last word.
    rates = {"conversion": {"stable": 0.05, "candidate-a": 0.0607}, "errors": same(0.01)}
    spec = specification(duration_seconds=7_200.0)
    assert decide(spec, history(epoch(4_800, rates), at=7_000.0), 7_010.0).action == "continue"
    last = decide(spec, history(epoch(4_800, rates), at=7_190.0), 7_201.0)
    assert last.action == "promote"
    assert last.look is not None
    assert last.look.final


def test_result_is_inconclusive_when_the_time_is_up_without_effect() -> None:
    spec = specification(duration_seconds=7_200.0)
    flat = history(epoch(4_800, {"conversion": same(0.05), "errors": same(0.01)}), at=7_190.0)
    assert codes(decide(spec, flat, 7_201.0)) == ["time_up"]


def test_experiment_ends_early_when_success_is_out_of_reach() -> None:
    rates = {"conversion": {"stable": 0.052, "candidate-a": 0.05}, "errors": same(0.01)}
    record = history(epoch(6_500, rates))
    assert decide(specification(), record, 610.0).action == "continue"
    assert codes(decide(specification(futility_power=0.1), record, 610.0)) == ["futile"]


def test_promotion_waits_when_safety_must_be_proved() -> None:
    proof = specification(guardrails=(replace(ERRORS, proof=True),))
    better = {"stable": 0.05, "candidate-a": 0.085}
    doubtful = decide(
        proof, history(epoch(4_000, {"conversion": better, "errors": {"stable": 0.01, "candidate-a": 0.0125}})), 610.0
    )
    assert (doubtful.action, codes(doubtful)) == ("continue", ["guardrail_unproven", "running"])
    proven = decide(
        proof, history(epoch(4_000, {"conversion": better, "errors": {"stable": 0.01, "candidate-a": 0.006}})), 610.0
    )
    assert proven.action == "promote"


def test_earlier_crossing_still_counts_when_safety_is_proved_later() -> None:
    proof = specification(guardrails=(replace(ERRORS, proof=True),))
    rates = {"conversion": {"stable": 0.05, "candidate-a": 0.052}, "errors": {"stable": 0.01, "candidate-a": 0.006}}
    crossed = LookRecord(at=300.0, fractions={"candidate-a": 0.3}, crossed=("candidate-a",))
    assert decide(proof, history(epoch(5_000, rates), looks=(crossed,)), 610.0).action == "promote"


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


def test_decision_says_so_when_all_treatments_were_dropped() -> None:
    decision = decide(specification(), history(dropped=("candidate-a",)), 610.0)
    assert (decision.action, codes(decision)) == ("roll back", ["all_treatments_dropped"])


def test_open_ended_mode_promotes_beyond_the_plan_when_evidence_comes_late() -> None:
    spec = specification(mode="open-ended")
    rates = {"conversion": {"stable": 0.05, "candidate-a": 0.058}, "errors": same(0.01)}
    assert decide(spec, history(epoch(8_000, rates)), 610.0).action == "continue"
    late = decide(spec, history(epoch(40_000, rates)), 610.0)
    assert late.action == "promote"
    assert late.look is None


def test_secondary_metrics_are_claimed_only_when_the_primary_is_decided() -> None:
    spec = specification(secondary=("clicks",))
    clicks = {"stable": 0.2, "candidate-a": 0.3}
    open_case = decide(
        spec, history(epoch(4_000, {"conversion": same(0.05), "errors": same(0.01), "clicks": clicks})), 610.0
    )
    assert next(i for i in open_case.evidence if i.role == "secondary").verdict == "open"
    better = {"stable": 0.05, "candidate-a": 0.08}
    decided = decide(spec, history(epoch(4_000, {"conversion": better, "errors": same(0.01), "clicks": clicks})), 610.0)
    assert next(i for i in decided.evidence if i.role == "secondary").verdict == "higher"


def test_interval_widens_when_returning_users_inflate_the_variance() -> None:
    rates = {"conversion": {"stable": 0.05, "candidate-a": 0.07}, "errors": same(0.01)}
    plain = decide(specification(), history(epoch(4_000, rates)), 610.0)
    inflated = decide(specification(), history(epoch(4_000, rates), variance_inflation={"conversion": 4.0}), 610.0)
    errors = [next(i for i in d.evidence if i.role == "primary").standard_error for d in (plain, inflated)]
    assert errors[1] == pytest.approx(2.0 * (errors[0] or 0.0))
    assert (plain.action, inflated.action) == ("promote", "continue")


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


def test_plan_grows_when_arms_are_added_or_the_end_is_open() -> None:
    one, three = required_n(PRIMARY), required_n(PRIMARY, treatments=3)
    assert (
        one.fixed_n < one.required_n < three.required_n < required_n(PRIMARY, treatments=3, open_ended=True).required_n
    )
    assert one.expected_n < one.fixed_n
    assert one.inflation == pytest.approx(1.055, abs=0.002)


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
