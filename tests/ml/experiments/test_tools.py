"""Duration, dynamics, Bayesian view, drift, Prometheus: behaviour beyond the reference cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ml.experiments import bayesian, drift, dynamics, exceedance, prometheus, ratio
from ml.experiments.drift_online import MeanShiftDetector
from ml.experiments.duration import expected_duration
from ml.experiments.ramp import all_to, weights_at
from ml.experiments.specification import ExperimentSpec, PrimaryMetric, Ramp
from ml.experiments.strata import Stratum


def test_duration_is_size_over_rate_when_there_is_no_ramp() -> None:
    result = expected_duration(10_000, 2.0, [0.5, 0.5])
    assert result.seconds == pytest.approx(10_000.0)
    assert result.whole_weeks == 1


def test_duration_equals_simulated_filling_when_weights_ramp_up() -> None:
    result = expected_duration(5_000, 1.0, [0.6, 0.4], ramp_seconds=4_000.0)
    clock = np.arange(0.0, 40_000.0, 1.0)
    treated = np.cumsum(np.minimum(1.0, clock / 4_000.0) * 0.4)
    assert result.slowest_arm == 1
    assert result.seconds == pytest.approx(float(clock[np.argmax(treated >= 5_000)]), rel=1e-3)


def test_duration_ends_inside_the_ramp_when_few_units_are_needed() -> None:
    result = expected_duration(100, 1.0, [0.5, 0.5], ramp_seconds=10_000.0)
    assert result.seconds == pytest.approx(math.sqrt(2 * 100 * 10_000 / 0.5))


def periods(effects: list[float]) -> list[Stratum]:
    n = 20_000
    return [
        Stratum(ratio.proportion_sums(round(0.1 * n), n), ratio.proportion_sums(round((0.1 + e) * n), n))
        for e in effects
    ]


def test_novelty_is_seen_when_the_effect_wears_off() -> None:
    fading = dynamics.novelty_check(periods([0.03, 0.025, 0.018, 0.012, 0.006, 0.002]), range(6))
    assert (fading.novelty, fading.primacy) == (True, False)
    assert fading.early_effect > fading.late_effect
    growing = dynamics.novelty_check(periods([0.002, 0.006, 0.012, 0.018, 0.025, 0.03]), range(6))
    assert (growing.novelty, growing.primacy) == (False, True)
    steady = dynamics.novelty_check(periods([0.01, 0.012, 0.009, 0.011, 0.01, 0.01]), range(6))
    assert (steady.novelty, steady.primacy) == (False, False)


def test_carry_over_is_seen_when_arms_differed_before() -> None:
    same, other = ratio.proportion_sums(1_000, 10_000), ratio.proportion_sums(1_200, 10_000)
    assert dynamics.carry_over_check(same, same).p_value == 1.0
    assert dynamics.carry_over_check(same, other).p_value < 1e-4


def test_posterior_moves_to_the_prior_when_the_prior_is_strong() -> None:
    flat = bayesian.normal_posterior(1.0, 0.5)
    strong = bayesian.normal_posterior(1.0, 0.5, prior_deviation=0.1)
    assert flat.effect == 1.0
    assert strong.effect == pytest.approx(1.0 * 4 / (4 + 100))
    assert flat.loss_of_control - flat.loss_of_treatment == pytest.approx(1.0)
    assert strong.interval.contains(strong.effect)


def test_beta_view_equals_simulation_when_counts_are_uneven() -> None:
    rng = np.random.default_rng(0)
    c, t = rng.beta(3, 99, 400_000), rng.beta(9, 200, 400_000)
    result = bayesian.beta_comparison(2, 100, 8, 207)
    assert result.chance_to_win == pytest.approx(float((t > c).mean()), abs=0.003)
    assert result.loss_of_treatment == pytest.approx(float(np.maximum(c - t, 0).mean()), abs=2e-4)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1e3, 1e6])
def test_best_arm_chances_sum_to_one_when_posteriors_are_narrow_or_wide(scale: float) -> None:
    chances = bayesian.probability_best([(scale, scale), (scale, 1.02 * scale), (2 * scale, 2 * scale)])
    assert sum(chances) == pytest.approx(1.0)
    assert all(0.0 <= chance <= 1.0 for chance in chances)


def test_narrow_posterior_is_seen_when_it_stands_beside_a_wide_one() -> None:
    # A uniform rate exceeds a rate that is known to be 1/4 with chance 3/4.
    assert bayesian.probability_best([(1.0, 1.0), (1e6, 3e6)]) == pytest.approx((0.75, 0.25), abs=1e-6)
    assert bayesian.beta_comparison(250_000, 1_000_000, 0, 0).chance_to_win == pytest.approx(0.75, abs=1e-5)
    assert bayesian.beta_comparison(0, 0, 250_000, 1_000_000).chance_to_win == pytest.approx(0.25, abs=1e-5)


def test_psi_threshold_is_exceeded_at_its_rate_when_nothing_drifts() -> None:
    rng = np.random.default_rng(1)
    threshold = drift.psi_threshold(2_000, 1_000, 10, alpha=0.1)
    values = [
        drift.population_stability_index(rng.multinomial(2_000, [0.1] * 10), rng.multinomial(1_000, [0.1] * 10))
        for _ in range(500)
    ]
    assert np.mean(np.array(values) > threshold) == pytest.approx(0.1, abs=0.04)
    assert threshold < 0.1  # the rule of thumb would miss what this finds
    assert drift.psi_verdict(0.05) == "stable"
    assert drift.psi_verdict(0.2) == "moderate"
    assert drift.psi_verdict(0.3) == "significant"


def test_drift_is_named_when_one_feature_of_many_moves() -> None:
    rng = np.random.default_rng(2)
    tests = {
        f"f{k}": drift.kolmogorov_smirnov_test(rng.normal(size=500), rng.normal(0.5 * (k == 3), 1, 500))
        for k in range(20)
    }
    for control in ("family", "discovery"):
        verdicts = drift.drift_over_features(tests, control=control)
        assert [name for name, verdict in verdicts.items() if verdict.drifted] == ["f3"]


def test_wasserstein_test_is_calibrated_when_samples_are_alike_or_not() -> None:
    rng = np.random.default_rng(3)
    p = [
        drift.wasserstein_test(rng.normal(size=60), rng.normal(size=50), permutations=99, seed=k).p_value
        for k in range(100)
    ]
    assert np.mean(np.array(p) <= 0.1) <= 0.2
    assert drift.wasserstein_test(rng.normal(size=200), rng.normal(0.7, 1, 200)).p_value == 0.001


def test_detector_stays_quiet_then_fires_when_the_mean_moves() -> None:
    rng = np.random.default_rng(4)
    detector = MeanShiftDetector(0.2, mean_values_between_false_alarms=2_000.0)
    for _ in range(500):
        detector = detector.update(float(rng.uniform() < 0.2))
    assert not detector.drifted
    delay = 0
    while not detector.drifted and delay < 500:
        detector = detector.update(float(rng.uniform() < 0.5))
        delay += 1
    assert delay < 100
    assert detector.seen == 500 + delay


@pytest.mark.parametrize(("direction", "fires"), [("up", False), ("down", True), ("both", True)])
def test_detector_heeds_the_direction_when_the_mean_falls(direction: str, fires: bool) -> None:
    detector = MeanShiftDetector(0.9, direction=direction)  # pyright: ignore[reportArgumentType] from the allowed words
    for k in range(300):
        detector = detector.update(float(k % 2))
    assert detector.drifted is fires


def test_false_alarms_are_rare_when_nothing_drifts() -> None:
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(20):
        detector = MeanShiftDetector(0.3, mean_values_between_false_alarms=1_000.0)
        for value in rng.uniform(size=250) < 0.3:
            detector = detector.update(float(value))
            if detector.drifted:
                alarms += 1
                break
    assert alarms <= 10  # 250 values at one per 1,000 or fewer: 5 expected at most


@pytest.mark.parametrize(
    ("samples", "increase", "resets"),
    [([1, 5, 9], 8, 0), ([5, 9, 2, 4], 8, 1), ([3, 0, 0, 7, 1], 8, 2), ([4, 4], 0, 0)],
)
def test_counter_grows_across_restarts_when_samples_fall(samples: list[int], increase: int, resets: int) -> None:
    assert prometheus.counter_increase(samples) == increase
    assert prometheus.counter_resets(samples) == resets


def test_slow_requests_are_counted_exactly_when_the_limit_is_a_bucket_edge() -> None:
    assert prometheus.bucket_exceedances([0.05, 0.1, math.inf], [900, 960, 1_000], 0.1) == (40, 1_000)


def test_highest_finite_bound_is_given_when_the_quantile_falls_in_the_last_bucket() -> None:
    assert prometheus.histogram_quantile([0.1, 1.0, math.inf], [10, 20, 100], 0.95) == 1.0
    assert prometheus.histogram_quantile([0.1, math.inf], [100, 100], 0.5) == pytest.approx(0.05)


def test_exceedance_sums_equal_counting_when_users_repeat() -> None:
    sums = exceedance.exceedance_sums([50, 150, 150, 90, 200], [1, 1, 2, 2, 3], 100.0)
    assert (sums.n, sums.numerator, sums.denominator) == (3, 3.0, 5.0)


def test_quantile_ratio_test_respects_the_margin_when_latency_grows() -> None:
    rng = np.random.default_rng(6)
    users = np.repeat(np.arange(4_000), 3)
    c, t = (scale * np.exp(0.5 * rng.standard_normal(12_000)) for scale in (100.0, 130.0))
    plain = exceedance.sequential_quantile_ratio_test(c, users, t, users, 0.95, tuned_for=2_000)
    assert plain.ratio == pytest.approx(1.3, abs=0.06)
    assert plain.p_value < 0.001
    assert (
        exceedance.sequential_quantile_ratio_test(c, users, t, users, 0.95, tuned_for=2_000, margin=0.4).p_value == 1.0
    )
    assert exceedance.sequential_quantile_ratio_test(t, users, c, users, 0.95, tuned_for=2_000).p_value == 1.0


def test_weights_grow_and_sum_to_one_thousand_when_time_passes() -> None:
    primary = PrimaryMetric(name="c", better="increase", minimum_effect=0.01, baseline=0.1)
    spec = ExperimentSpec(
        control="s",
        treatments=("a", "b"),
        shares=(0.4, 0.2),
        primary=primary,
        planned_n=10,
        ramp=Ramp(seconds=3_600.0, steps=60),
    )
    before = {"a": 0, "b": 0}
    for elapsed in range(-60, 4_000, 30):
        weights = weights_at(spec, float(elapsed))
        assert sum(weights.values()) == 1_000
        assert all(weights[arm] >= before[arm] for arm in before)
        before = {arm: weights[arm] for arm in before}
    assert before == {"a": 400, "b": 200}
    assert weights_at(spec, 9_999.0, ("a",)) == {"s": 800, "a": 0, "b": 200}
    assert all_to(spec, "b") == {"s": 0, "a": 0, "b": 1_000}
    with pytest.raises(ValueError, match="dropped"):
        weights_at(spec, 0.0, ("ghost",))
