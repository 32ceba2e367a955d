"""Guardrails that no test can judge: what looks harmful or is kept from view holds a promotion up, the rest not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from ml.experiments.decision import Decision, decide
from ml.experiments.history import EpochRecord, History
from ml.experiments.ratio import RatioSums, mean_sums, proportion_sums
from ml.experiments.specification import ExperimentSpec, Guardrail
from tests.ml.experiments.deciding import ACCURACY, codes, history, same, specification

FAILED = Guardrail(name="failed", harmful="increase", against="limit", margin=0.05)
CRASHES = Guardrail(name="crashes", harmful="increase", test="rate", relative_margin=0.1)
N = 4_000
BETTER = {"stable": proportion_sums(200, N), "candidate-a": proportion_sums(340, N)}
PROMOTED = ("promote", ["primary_better"])
KEPT_BACK = ("continue", ["guardrail_unproven", "running"])
Counts = Mapping[str, tuple[int, int]]
"""Of each arm: how often it happened, and in how many units."""


def record(metrics: Mapping[str, Mapping[str, RatioSums]], started_at: float = 0.0) -> EpochRecord:
    weights = {"stable": 500, "candidate-a": 500}
    return EpochRecord(started_at=started_at, weights=weights, units=dict.fromkeys(weights, N), metrics=metrics)


def shares(counts: Counts) -> dict[str, RatioSums]:
    return {arm: proportion_sums(hits, n) for arm, (hits, n) in counts.items()}


def decided(guardrail: Guardrail, counts: Counts) -> Decision:
    """Decide about a treatment that would be promoted were it not for the guardrail."""
    sums = {"conversion": BETTER, guardrail.name: shares(counts)}
    return decide(specification(guardrails=(guardrail,)), history(record(sums)), 610.0)


def outcome(decision: Decision) -> tuple[str, list[str]]:
    return decision.action, codes(decision)


def verdict(decision: Decision, metric: str) -> str:
    return next(item.verdict for item in decision.evidence if item.metric == metric and item.role == "guardrail")


# Too early -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("failed", [0, 1, 60, 999])
def test_treatment_is_not_promoted_when_a_limit_lacks_its_minimum(failed: int) -> None:
    decision = decided(FAILED, {"stable": (0, N), "candidate-a": (failed, 999)})
    assert outcome(decision) == KEPT_BACK
    assert verdict(decision, "failed") == "suspect"


@pytest.mark.parametrize("failed", [0, 1, 19])
def test_treatment_is_promoted_when_a_limit_has_its_minimum_and_hardly_anything_failed(failed: int) -> None:
    decision = decided(FAILED, {"stable": (0, 1_000), "candidate-a": (failed, 1_000)})
    assert outcome(decision) == PROMOTED
    assert verdict(decision, "failed") == "too early"


def test_treatment_is_rolled_back_when_all_requests_up_to_the_minimum_failed() -> None:
    decision = decided(FAILED, {"stable": (0, 1_000), "candidate-a": (1_000, 1_000)})
    assert outcome(decision) == ("roll back", ["guardrail_breached"])


def test_treatment_is_not_promoted_when_failures_are_too_few_to_judge_but_beyond_the_limit() -> None:
    strict = replace(FAILED, margin=0.001)
    assert outcome(decided(strict, {"stable": (0, 1_000), "candidate-a": (19, 1_000)})) == KEPT_BACK


@pytest.mark.parametrize(("right", "expected"), [(0, KEPT_BACK), (78, KEPT_BACK), (82, PROMOTED), (100, PROMOTED)])
def test_rarely_reported_outcome_counts_when_it_looks_harmful(right: int, expected: tuple[str, list[str]]) -> None:
    # 90 % of control are right and a tenth of that is accepted, so the line is at 81 %.
    assert outcome(decided(ACCURACY, {"stable": (90, 100), "candidate-a": (right, 100)})) == expected


def test_harmful_increase_against_control_counts_when_it_is_rarely_reported() -> None:
    complaints = Guardrail(name="complaints", harmful="increase", relative_margin=0.1)
    assert outcome(decided(complaints, {"stable": (5, 100), "candidate-a": (50, 100)})) == KEPT_BACK
    assert outcome(decided(complaints, {"stable": (5, 100), "candidate-a": (5, 100)})) == PROMOTED


# Reported for one arm only -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("guardrail", [ACCURACY, CRASHES])
@pytest.mark.parametrize("arm", ["stable", "candidate-a"])
@pytest.mark.parametrize("others", ["not known", "known of nobody"])
def test_treatment_is_not_promoted_when_a_guardrail_is_reported_for_one_arm(
    guardrail: Guardrail, arm: str, others: str
) -> None:
    counts = (
        {arm: (0, N)} if others == "not known" else {**dict.fromkeys(("stable", "candidate-a"), (0, 0)), arm: (0, N)}
    )
    decision = decided(guardrail, counts)
    assert outcome(decision) == KEPT_BACK
    assert verdict(decision, guardrail.name) == "suspect"


@pytest.mark.parametrize("guardrail", [ACCURACY, CRASHES, FAILED])
def test_treatment_is_promoted_when_nobody_reports_a_guardrail(guardrail: Guardrail) -> None:
    assert outcome(decided(guardrail, {})) == PROMOTED


def test_treatment_is_not_promoted_when_only_control_is_measured_against_a_limit() -> None:
    assert outcome(decided(FAILED, {"stable": (0, N)})) == KEPT_BACK
    assert outcome(decided(FAILED, {"candidate-a": (0, N)})) == PROMOTED


def test_treatment_is_not_promoted_when_no_epoch_reports_both_arms() -> None:
    first = record({"conversion": BETTER, "accuracy": shares({"stable": (900, 1_000)})})
    second = record({"accuracy": shares({"candidate-a": (0, 1_000)})}, started_at=300.0)
    decision = decide(specification(guardrails=(ACCURACY,)), history(first, second), 610.0)
    assert outcome(decision) == KEPT_BACK


def test_sound_treatment_is_promoted_when_only_the_other_one_lacks_reports() -> None:
    spec = specification(treatments=("a", "b"), shares=(0.33, 0.33), guardrails=(ACCURACY,))
    counts = {"stable": (200, N), "a": (340, N), "b": (400, N)}
    metrics = {"conversion": shares(counts), "accuracy": shares({"stable": (3_600, N), "a": (3_600, N)})}
    whole = EpochRecord(
        started_at=0.0, weights={"stable": 340, "a": 330, "b": 330}, units=dict.fromkeys(counts, N), metrics=metrics
    )
    decision = decide(spec, history(whole), 610.0)
    assert (decision.action, decision.arms) == ("promote", ("a",))


# The end of a hold ---------------------------------------------------------------------------------------------------
def hold(now: float, *, known: bool = False, data_age: float = 0.0) -> Decision:
    conversion = BETTER if known else {"stable": BETTER["stable"]}
    spec = specification(guardrails=(), duration_seconds=7_200.0)
    return decide(spec, history(record({"conversion": conversion}), at=now - data_age), now)


def test_hold_ends_inconclusive_when_the_time_is_over() -> None:
    assert outcome(hold(7_199.0)) == ("hold", ["metric_missing"])
    over = hold(7_200.0)
    assert outcome(over) == ("inconclusive", ["metric_missing", "time_up"])
    assert over.weights == {"stable": 1000, "candidate-a": 0}


def test_hold_ends_when_data_claim_to_be_of_the_future_beyond_the_time() -> None:
    assert outcome(hold(7_100.0, known=True, data_age=-86_400.0)) == ("hold", ["stale_data"])
    assert outcome(hold(7_200.0, known=True, data_age=-86_400.0)) == ("inconclusive", ["stale_data", "time_up"])


def test_hold_has_no_end_of_its_own_when_the_experiment_has_no_duration() -> None:
    missing = history(record({"conversion": {"stable": BETTER["stable"]}}), at=9e6)
    assert outcome(decide(specification(guardrails=()), missing, 9e6)) == ("hold", ["metric_missing"])


# Margins of a control below zero -------------------------------------------------------------------------------------
def profit(control: float, treatment: float) -> History:
    random = np.random.default_rng(7)

    def normal(mean: float) -> RatioSums:
        values = random.normal(mean, 1.0, N)
        return mean_sums(N, float(values.sum()), float(values @ values))

    sums = {"stable": normal(control), "candidate-a": normal(treatment)}
    flat = {arm: proportion_sums(200, N) for arm in same(0.0)}
    return history(record({"conversion": flat, "profit": sums}))


@pytest.mark.parametrize("mean", [-10.0, 10.0])
@pytest.mark.parametrize("harmful", ["increase", "decrease"])
@pytest.mark.parametrize(("loss", "action"), [(0.0, "continue"), (0.9, "continue"), (1.1, "roll back")])
def test_relative_margin_is_of_the_absolute_value_when_control_is_below_zero(
    mean: float, harmful: str, loss: float, action: str
) -> None:
    guardrail = Guardrail(name="profit", harmful=harmful, relative_margin=0.1)  # pyright: ignore[reportArgumentType] one of the allowed words
    treatment = mean + loss if harmful == "increase" else mean - loss
    assert decide(specification(guardrails=(guardrail,)), profit(mean, treatment), 610.0).action == action


# Claims that no longer hold ------------------------------------------------------------------------------------------
def one_claim(of_a: float, n: int, of_b: int, **changes: object) -> tuple[ExperimentSpec, History]:
    """Treatment a converts a share `of_a` of n users (control: 50 %), and b has `of_b` users."""
    spec: ExperimentSpec = specification(treatments=("a", "b"), shares=(0.33, 0.33), guardrails=())
    counts = {"stable": (n // 2, n), "a": (round(of_a * n), n), "b": (of_b // 2, of_b)}
    whole = EpochRecord(
        started_at=0.0,
        weights={"stable": 340, "a": 330, "b": 330},
        units={"stable": n, "a": n, "b": n},
        metrics={"conversion": shares(counts)},
    )
    return spec, replace(history(whole), **changes)  # pyright: ignore[reportArgumentType] only fields are given


def test_treatment_is_not_promoted_when_its_effect_has_turned_since_its_claim() -> None:
    first = decide(*one_claim(0.6, 3_000, 500), 610.0)
    assert codes(first) == ["treatment_too_early", "running"]
    assert first.look is not None
    turned = decide(*one_claim(0.49, 3_300, 1_001, looks=(first.look,)), 610.0)
    assert outcome(turned) == ("continue", ["claim_no_longer_holds", "running"])
    assert turned.reasons[0].arm == "a"
    equal = decide(*one_claim(0.5, 3_300, 1_001, looks=(first.look,)), 610.0)
    assert outcome(equal) == ("continue", ["claim_no_longer_holds", "running"])


def test_earlier_claim_stands_when_the_effect_has_only_become_smaller() -> None:
    first = decide(*one_claim(0.6, 3_000, 500), 610.0)
    assert first.look is not None
    smaller = decide(*one_claim(0.51, 3_300, 1_001, looks=(first.look,)), 610.0)
    assert (smaller.action, smaller.arms) == ("promote", ("a",))
