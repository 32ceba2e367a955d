"""What must hold for any input: intervals, symmetry, units, monotonicity and uniform p-values under the null."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from ml.experiments import (
    bernoulli_sequences,
    bootstrap,
    clusters,
    cuped,
    design,
    drift,
    lift,
    means,
    mixtures,
    multiplicity,
    noninferiority_design,
    proportions,
    quantiles,
    rates,
    ratio,
    sequential_quantiles,
    srm,
    strata,
)

counts = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
alphas = st.sampled_from([0.01, 0.05, 0.2])
FAST = settings(max_examples=60, deadline=None)


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


samples = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=40)


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


@FAST
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_adjustments_are_ordered_when_p_values_are_any(p: list[float]) -> None:
    bonferroni, holm, bh = (f(p) for f in (multiplicity.bonferroni, multiplicity.holm, multiplicity.benjamini_hochberg))
    for raw, a, b, c in zip(p, bh.p_values, holm.p_values, bonferroni.p_values, strict=True):
        assert raw <= a + 1e-12
        assert a <= b + 1e-12
        assert b <= c + 1e-12


@FAST
@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=6))
def test_graph_equals_holm_when_it_is_symmetric(p: list[float]) -> None:
    names = [f"h{k}" for k in range(len(p))]
    graph = multiplicity.HypothesisGraph(
        dict.fromkeys(names, 1.0 / len(p)), {a: {b: 1.0 / (len(p) - 1) for b in names if b != a} for a in names}
    )
    rejected = multiplicity.graphical_test(graph, dict(zip(names, p, strict=True)))
    # At exact ties of p with its share, rounding may decide either way.
    assume(all(abs(q * (len(p) - k) - 0.05) > 1e-9 for q in p for k in range(len(p))))
    assert tuple(rejected[name] for name in names) == multiplicity.holm(p).rejected


def test_gate_stays_shut_when_the_primary_fails() -> None:
    graph = multiplicity.gatekeeper_graph("primary", ("a", "b"))
    assert not any(multiplicity.graphical_test(graph, {"primary": 0.06, "a": 0.0, "b": 0.0}).values())
    assert multiplicity.graphical_test(graph, {"primary": 0.04, "a": 0.02, "b": 0.04}) == {
        "primary": True,
        "a": True,
        "b": True,
    }


@FAST
@given(
    st.floats(0.02, 0.9),
    st.floats(0.02, 0.08),
    st.sampled_from([0.7, 0.8, 0.95]),
    st.sampled_from(["pooled", "baseline", "unpooled"]),
)
def test_sample_size_and_power_undo_each_other_when_rates_are_any(
    p: float, effect: float, power: float, null: design.NullVariance
) -> None:
    n = design.proportion_sample_size(p, p + effect, power=power, null_variance=null)
    assert design.proportion_power(p, p + effect, n, null_variance=null) == pytest.approx(power, abs=1e-9)
    assert design.proportion_sample_size(p, p + 1.2 * effect, power=power) < design.proportion_sample_size(
        p, p + effect, power=power
    )
    assert design.proportion_minimum_detectable_effect(p, n, power=power, null_variance=null) == pytest.approx(
        effect, rel=1e-6
    )


@FAST
@given(st.floats(0.05, 2.0), st.sampled_from([0.5, 0.8, 0.99]))
def test_size_of_means_has_its_power_when_effects_are_any(d: float, power: float) -> None:
    n = design.mean_sample_size(d, 1.0, power=power)
    assert design.mean_power(d, 1.0, n, n) >= power - 1e-6
    assert design.mean_minimum_detectable_effect(
        1.0, design.mean_sample_size(d, 1.0, power=power, method="normal"), power=power
    ) == pytest.approx(d)


def test_rates_on_the_margin_keep_the_difference_when_solved() -> None:
    for difference in (-0.1, -0.01, 0.01, 0.1):
        rates_found = noninferiority_design.rates_on_margin(0.3, 0.25, difference)
        assert rates_found.treatment - rates_found.control == pytest.approx(difference)
        assert 0 <= rates_found.control <= 1


@FAST
@given(st.floats(-3.0, 3.0), st.floats(0.01, 2.0), st.integers(10, 100_000), st.floats(100, 50_000), alphas)
def test_sequence_rejects_exactly_when_the_interval_leaves_out_zero(
    estimate: float, error: float, n: int, tuned: float, alpha: float
) -> None:
    for alternative in ("two-sided", "greater", "less"):
        result = mixtures.confidence_sequence(estimate, error, n, tuned_for=tuned, alpha=alpha, alternative=alternative)
        assert result.interval.contains(estimate)
        assume(abs(result.p_value - alpha) > 1e-9)
        assert (result.p_value < alpha) == (not result.interval.contains(0.0))
    fixed = 1.959964 * error
    assert mixtures.confidence_sequence(estimate, error, n, tuned_for=tuned).interval.high - estimate > fixed


@FAST
@given(st.floats(0.1, 1e5), st.floats(0.1, 1e4), alphas)
def test_mixture_boundary_grows_and_one_side_is_lower_when_time_passes(v: float, rho: float, alpha: float) -> None:
    for sides in (1, 2):
        assert mixtures.mixture_boundary(v, alpha, rho, sides=sides) < mixtures.mixture_boundary(
            1.1 * v, alpha, rho, sides=sides
        )
        bound = mixtures.mixture_boundary(v, alpha, rho, sides=sides)
        assert mixtures.log_mixture(bound, v, rho, sides=sides) == pytest.approx(-math.log(alpha), abs=1e-8)
    assert mixtures.mixture_boundary(v, alpha, rho, sides=1) <= mixtures.mixture_boundary(v, alpha, rho, sides=2)


def test_bernoulli_sequence_covers_at_all_times_when_watched_throughout() -> None:
    rng = np.random.default_rng(7)
    missed = 0
    for _ in range(200):
        x = np.cumsum(rng.uniform(size=400) < 0.1)
        evidence = [bernoulli_sequences.bernoulli_log_evidence(x[n - 1], n, 0.1, 20.0) for n in range(5, 401, 5)]
        missed += max(evidence) >= math.log(1 / 0.1)
    assert missed / 200 <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / 200)


def test_difference_sequence_holds_the_truth_when_counts_are_tiny() -> None:
    interval = bernoulli_sequences.difference_confidence_sequence(0, 5, 1, 5, tuned_for=100)
    assert interval.contains(0.2)
    assert interval.contains(0.0)


def test_quantile_sequence_covers_when_watched_throughout() -> None:
    rng = np.random.default_rng(8)
    missed = 0
    for _ in range(100):
        x = rng.exponential(size=600)
        missed += any(
            not sequential_quantiles.quantile_confidence_sequence(x[:n], 0.9, tuned_for=300, alpha=0.1).contains(
                math.log(10)
            )
            for n in range(30, 601, 30)
        )
    assert missed / 100 <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / 100)


def test_rate_test_is_exact_when_rates_are_equal_and_weights_change() -> None:
    rng = np.random.default_rng(9)
    alarms = 0
    for _ in range(300):
        epochs: list[rates.EventCounts] = []
        alarmed = False
        for weight in (0.02, 0.1, 0.3, 0.5, 0.5, 0.5):
            events = rng.poisson(20)
            t = rng.binomial(events, weight)
            epochs.append(rates.EventCounts(weight, events - t, t))
            alarmed |= rates.sequential_rate_test(epochs).p_value <= 0.1
        alarms += alarmed
    assert alarms / 300 <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / 300)
    tripled = rates.sequential_rate_test([rates.EventCounts(0.5, 30, 90)])
    assert tripled.p_value < 1e-5
    assert 1.5 < tripled.lower_bound < 3.0 == tripled.rate_ratio


@FAST
@given(st.lists(st.integers(0, 400), min_size=3, max_size=3), st.permutations([0, 1, 2]))
def test_sample_ratio_does_not_depend_on_the_order_of_arms(n: list[int], order: list[int]) -> None:
    assume(sum(n) > 0)
    weights = [0.5, 0.3, 0.2]
    turned = [n[i] for i in order], [weights[i] for i in order]
    assert srm.sample_ratio_test(*turned).statistic == pytest.approx(srm.sample_ratio_test(n, weights).statistic)
    assert srm.sequential_sample_ratio_test(*turned).log_bayes_factor == pytest.approx(
        srm.sequential_sample_ratio_test(n, weights).log_bayes_factor
    )
    epochs = [srm.Epoch(weights, n), srm.Epoch([1, 1, 1], n)]
    swapped = [srm.Epoch(turned[1], turned[0]), srm.Epoch([1, 1, 1], turned[0])]
    a, b = (srm.sequential_epoch_sample_ratio_test(e).log_bayes_factor for e in (epochs, swapped))
    assert a == pytest.approx(b)


def test_stratified_estimates_agree_when_there_is_one_epoch() -> None:
    c, t = ratio.proportion_sums(50, 1_000), ratio.proportion_sums(80, 1_200)
    one = strata.mantel_haenszel([strata.Stratum(c, t)])
    assert one.difference == pytest.approx(ratio.compare_ratios(c, t).estimate)
    assert one.standard_error == pytest.approx(ratio.compare_ratios(c, t).standard_error)
    assert strata.inverse_variance([strata.Stratum(c, t)]).difference == pytest.approx(one.difference)
    assert one.heterogeneity_p_value == 1.0


def test_returning_users_widen_the_error_when_epochs_share_them() -> None:
    rng = np.random.default_rng(10)
    user = np.tile(np.arange(400.0), 5)
    y = np.tile(rng.normal(size=400), 5) + 0.3 * rng.normal(size=2_000)
    treated, epoch = user % 2, np.repeat(np.arange(5.0), 400)
    clustered = strata.clustered_stratified_difference(y, treated, epoch, user)
    naive = strata.clustered_stratified_difference(y, treated, epoch, np.arange(2_000.0))
    assert clustered.difference == pytest.approx(naive.difference)
    assert clustered.standard_error > 1.8 * naive.standard_error


@pytest.mark.parametrize("name", ["z", "welch", "ratio", "srm", "psi", "hellinger", "chi-square", "ks"])
def test_p_values_are_uniform_when_the_null_is_true(name: str) -> None:
    rng = np.random.default_rng(12)
    p: list[float] = []
    for _ in range(400):
        if name == "z":
            p.append(
                proportions.two_proportion_z_test(
                    *(v for x in rng.binomial(2_000, 0.3, 2).tolist() for v in (x, 2_000))
                ).p_value
            )
        elif name == "welch":
            p.append(means.welch_t_test(*(means.moments_from_data(rng.normal(size=30)) for _ in range(2))).p_value)
        elif name == "ratio":
            m = rng.poisson(5, (2, 400)) + 1.0
            p.append(
                ratio.compare_ratios(*(ratio.ratio_sums(rng.binomial(k.astype(np.int64), 0.3), k) for k in m)).p_value
            )
        elif name == "srm":
            p.append(srm.sample_ratio_test(rng.multinomial(5_000, [0.5, 0.3, 0.2]), [5, 3, 2]).p_value)
        elif name == "ks":
            p.append(drift.kolmogorov_smirnov_test(rng.normal(size=200), rng.normal(size=231)).p_value)
        else:
            a, b = rng.multinomial(4_000, [0.2] * 5), rng.multinomial(3_000, [0.2] * 5)
            if name == "chi-square":
                p.append(drift.chi_square_drift_test(a, b, reference_is_exact=False).p_value)
            else:
                p.append({"psi": drift.psi_test, "hellinger": drift.hellinger_test}[name](a, b).p_value)
    assert stats.kstest(p, "uniform").pvalue > 1e-3
