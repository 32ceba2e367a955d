"""The rule of an experiment: claims of benefit and harm, and their neighbours that must not fire."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ml.experiments.decision import decide
from ml.experiments.history import History, LookRecord
from ml.experiments.specification import Guardrail, Ramp
from tests.ml.experiments.deciding import ACCURACY, ERRORS, PRIMARY, SLOW, codes, epoch, history, same, specification


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


def test_result_is_inconclusive_when_the_planned_sample_is_reached() -> None:
    decision = decide(specification(), history(epoch(8_000, {"conversion": same(0.05), "errors": same(0.01)})), 610.0)
    assert (decision.action, codes(decision)) == ("inconclusive", ["sample_reached"])


def test_experiment_goes_on_when_the_sample_is_reached_but_an_arm_is_below_the_minimum() -> None:
    rates = {"conversion": {"stable": 0.05, "candidate-a": 0.08}, "errors": same(0.01)}
    young = specification(minimum_n=8_001)
    assert decide(young, history(epoch(8_000, rates)), 610.0).action == "continue"
    assert decide(young, history(epoch(8_001, rates)), 610.0).action == "promote"


def test_all_alpha_is_spent_when_the_time_is_up() -> None:
    # z = 2.2 at 60 % of the information: not enough on the way, enough as the last word.
    rates = {"conversion": {"stable": 0.05, "candidate-a": 0.0607}, "errors": same(0.01)}
    spec = specification(duration_seconds=7_200.0)
    assert decide(spec, history(epoch(4_800, rates), at=7_000.0), 7_010.0).action == "continue"
    last = decide(spec, history(epoch(4_800, rates), at=7_190.0), 7_201.0)
    assert last.action == "promote"
    assert last.look is not None
    assert last.look.final


def test_nothing_more_is_spent_when_a_final_look_was_taken() -> None:
    rates = {"conversion": {"stable": 0.05, "candidate-a": 0.08}, "errors": same(0.01)}
    final = LookRecord(at=7_200.0, fractions={"candidate-a": 0.3}, final=True)
    after = history(epoch(6_000, rates), at=7_290.0, looks=(final,))
    decision = decide(specification(duration_seconds=7_200.0), after, 7_300.0)
    assert (decision.action, codes(decision), decision.look) == ("inconclusive", ["time_up"], None)


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
