"""Planning, multiplicity, sample ratio, strata, and uniform p-values under the null."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from ml.experiments import (
    design,
    drift,
    means,
    multiplicity,
    noninferiority_design,
    proportions,
    ratio,
    srm,
    strata,
)

counts = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
alphas = st.sampled_from([0.01, 0.05, 0.2])
FAST = settings(max_examples=60, deadline=None)
samples = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=40)


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
            views = 1.0 + rng.integers(0, 10, (2, 400)).astype(np.float64)
            clicks = np.floor(views * rng.uniform(size=(2, 400)))
            p.append(ratio.compare_ratios(*(ratio.ratio_sums(clicks[k], views[k]) for k in (0, 1))).p_value)
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
