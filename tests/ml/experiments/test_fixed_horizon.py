"""Fixed-horizon methods: intervals, symmetry, units, coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ml.experiments import (
    bernoulli_sequences,
    bootstrap,
    clusters,
    cuped,
    lift,
    means,
    proportions,
    quantiles,
    ratio,
)

counts = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
alphas = st.sampled_from([0.01, 0.05, 0.2])
FAST = settings(max_examples=60, deadline=None)
samples = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=40)


@FAST
@given(counts, counts, alphas)
def test_intervals_hold_the_estimate_when_counts_are_any(c: tuple[int, int], t: tuple[int, int], alpha: float) -> None:
    difference = t[0] / t[1] - c[0] / c[1]
    for interval in (proportions.newcombe_interval, proportions.wald_interval):
        low, high = interval(*c, *t, alpha=alpha)
        assert low - 1e-12 <= difference <= high + 1e-12
        assert -1.0 <= low <= high <= 1.0
    assert proportions.wilson_interval(*c, alpha=alpha).contains(c[0] / c[1])
    exact, sequence = (
        proportions.clopper_pearson_interval(*c, alpha=alpha),
        bernoulli_sequences.bernoulli_confidence_sequence(*c, tuned_for=100, alpha=alpha),
    )
    assert exact.contains(c[0] / c[1])
    # Valid at all times costs width: the sequence holds the interval that is valid at one.
    assert sequence.low <= exact.low + 0.02
    assert sequence.high >= exact.high - 0.02


@FAST
@given(counts, counts)
def test_comparison_turns_its_sign_when_arms_are_swapped(c: tuple[int, int], t: tuple[int, int]) -> None:
    there, back = proportions.compare_proportions(*c, *t), proportions.compare_proportions(*t, *c)
    assert there.p_value == pytest.approx(back.p_value, rel=1e-9)
    assert there.estimate == pytest.approx(-back.estimate)
    assert there.interval == pytest.approx((-back.interval.high, -back.interval.low))
    assert 0.0 <= there.p_value <= 1.0


def test_exact_test_is_used_and_said_so_when_counts_are_small() -> None:
    small = proportions.compare_proportions(1, 20, 6, 20)
    assert small.method.startswith("Fisher")
    assert "does not hold" in small.note
    large = proportions.compare_proportions(100, 2_000, 130, 2_000)
    assert large.method.startswith("two-proportion z")
    assert large.note == ""


@FAST
@given(samples, samples, st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_t_test_does_not_depend_on_units_when_values_are_rescaled(
    c: list[float], t: list[float], scale: float, shift: float
) -> None:
    assume(np.std(c) > 1e-2 and np.std(t) > 1e-2)
    plain = means.welch_t_test(means.moments_from_data(c), means.moments_from_data(t))
    scaled = means.welch_t_test(
        means.moments_from_data(scale * np.array(c) + shift), means.moments_from_data(scale * np.array(t) + shift)
    )
    assert scaled.statistic == pytest.approx(plain.statistic, rel=1e-5, abs=1e-5)
    assert scaled.p_value == pytest.approx(plain.p_value, rel=1e-4, abs=1e-9)
    assert plain.interval.contains(plain.estimate)


@FAST
@given(samples, samples)
def test_moments_are_the_same_when_samples_are_merged_or_pooled(a: list[float], b: list[float]) -> None:
    merged = means.merge_moments([means.moments_from_data(a), means.moments_from_data(b)])
    pooled = means.moments_from_data(a + b)
    assert (merged.n, merged.mean) == (pooled.n, pytest.approx(pooled.mean, abs=1e-9))
    assert merged.variance == pytest.approx(pooled.variance, rel=1e-9, abs=1e-6)


@FAST
@given(st.floats(1.0, 100.0), st.floats(1.0, 100.0), st.floats(0.001, 0.05), st.floats(0.001, 0.05))
def test_lift_intervals_agree_when_means_are_far_from_zero(m_c: float, m_t: float, v_c: float, v_t: float) -> None:
    assume(v_c / m_c**2 < 1e-3)
    delta = lift.relative_lift(m_c, v_c, m_t, v_t)
    fieller = lift.fieller_interval(m_c, v_c, m_t, v_t)
    assert fieller == pytest.approx(delta.interval, abs=0.12 * (delta.interval.high - delta.interval.low) + 1e-9)
    assert fieller.contains(delta.estimate)
    assert lift.log_ratio_interval(m_c, v_c, m_t, v_t).contains(delta.estimate)


def test_ratio_metric_is_a_mean_when_denominators_are_one() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(3, 2, 500)
    moments, sums = means.moments_from_data(y), ratio.ratio_sums(y, np.ones(500))
    assert sums.ratio == pytest.approx(moments.mean)
    assert sums.variance_of_ratio == pytest.approx(moments.variance_of_mean)
    assert sums + ratio.ratio_sums([1.0, 2.0], [1.0, 1.0]) == ratio.ratio_sums([*y, 1.0, 2.0], np.ones(502)).__class__(
        502,
        *(
            getattr(sums, f) + g
            for f, g in zip(
                ("numerator", "denominator", "numerator_squares", "denominator_squares", "products"),
                (3.0, 2.0, 5.0, 2.0, 3.0),
                strict=True,
            )
        ),
    )


def test_cuped_narrows_and_stays_unbiased_when_the_covariate_predicts() -> None:
    rng = np.random.default_rng(1)
    errors: list[float] = []
    for _ in range(300):
        x = rng.normal(0, 1, (2, 200))
        y = 0.8 * x + rng.normal(0, 0.6, (2, 200)) + np.array([[0.0], [0.1]])
        result = cuped.cuped_means(x[0], y[0], x[1], y[1])
        errors.append((result.difference - 0.1) / result.standard_error)
        assert 0.4 < result.variance_reduction < 0.85
    assert abs(np.mean(errors)) < 0.15
    assert np.std(errors) == pytest.approx(1.0, abs=0.12)


def test_cuped_on_ratios_narrows_when_the_past_predicts() -> None:
    rng = np.random.default_rng(2)
    level = rng.uniform(0.1, 0.5, 800)
    views = rng.integers(5, 50, (2, 800)).astype(float)
    clicks = rng.binomial(views.astype(int), level).astype(float)
    c, t = slice(0, 400), slice(400, 800)
    result = cuped.cuped_ratios(
        (clicks[0, c], views[0, c]),
        (clicks[1, c], views[1, c]),
        (clicks[0, t], views[0, t]),
        (clicks[1, t], views[1, t]),
    )
    assert result.variance_reduction > 0.25
    assert result.interval.contains(result.difference)


def test_clustered_error_equals_plain_when_every_row_is_its_own_cluster() -> None:
    rng = np.random.default_rng(3)
    y, d = rng.normal(size=200), np.repeat([0.0, 1.0], 100)
    result = clusters.clustered_difference(y, d, np.arange(200))
    assert result.design_effect == pytest.approx(math.sqrt(200 / 199 * 199 / 198 * 198 / 200), rel=1e-9)


def test_design_effect_predicts_the_inflation_when_clusters_are_equal() -> None:
    rng = np.random.default_rng(4)
    user = np.repeat(np.arange(2_000), 10)
    y = np.repeat(rng.normal(0, math.sqrt(0.3), 2_000), 10) + rng.normal(0, math.sqrt(0.7), 20_000)
    correlation = clusters.intraclass_correlation(y, user)
    assert correlation == pytest.approx(0.3, abs=0.03)
    result = clusters.clustered_difference(y, np.repeat(np.arange(2_000) % 2, 10), user)
    assert result.design_effect**2 == pytest.approx(clusters.design_effect(10, correlation), rel=0.1)


@pytest.mark.parametrize("clustered", [False, True])
def test_quantile_interval_covers_when_rows_are_independent_or_clustered(clustered: bool) -> None:
    rng = np.random.default_rng(5)
    truth = math.exp(1.6448536269514722)
    covered = 0
    for _ in range(300):
        if clustered:
            z = math.sqrt(0.5) * rng.standard_normal((300, 1)) + math.sqrt(0.5) * rng.standard_normal((300, 5))
            estimate = quantiles.quantile_estimate(np.exp(z).ravel(), 0.95, cluster=np.repeat(np.arange(300), 5))
        else:
            estimate = quantiles.quantile_estimate(np.exp(rng.standard_normal(1_500)), 0.95)
        covered += estimate.interval.contains(truth)
    assert covered / 300 >= 0.92


def test_quantile_comparison_finds_a_shift_when_there_is_one() -> None:
    rng = np.random.default_rng(16)
    c = quantiles.quantile_estimate(rng.exponential(1.0, 5_000), 0.9)
    t = quantiles.quantile_estimate(rng.exponential(1.2, 5_000), 0.9)
    result = quantiles.compare_quantiles(c, t)
    assert result.p_value < 1e-4
    assert result.interval.contains(math.log(10) * 0.2)


@pytest.mark.slow
def test_bootstrap_agrees_with_exact_answers_when_resamples_are_many() -> None:
    data = [94, 197, 16, 38, 99, 141, 23]
    assert bootstrap.bootstrap(data, np.median, resamples=20_000).standard_error == pytest.approx(
        bootstrap.ideal_bootstrap_se_of_median(data), rel=0.02
    )
    assert bootstrap.bootstrap(data[:6], np.median, resamples=20_000).standard_error == pytest.approx(
        bootstrap.ideal_bootstrap_se_of_median(data[:6]), rel=0.02
    )
    again = [bootstrap.bootstrap(data, np.mean, seed=4) for _ in range(2)]
    assert again[0] == again[1]
    difference = bootstrap.bootstrap_difference(data, [x + 100 for x in data], np.mean, resamples=500)
    assert difference.interval.contains(100.0)
