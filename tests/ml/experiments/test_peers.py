"""The library against other tools: statsmodels and tea-tasting live, those with contrary dependencies as recorded.

Recorded with `bench/peers/*.py` from spotify-confidence 4.1.0 and gbstats 0.8.0 in environments of their own. confseq
does not build on Python 3.11; its published numbers are among the reference cases.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.experiments import (
    clusters,
    design,
    lift,
    means,
    mixtures,
    multiplicity,
    noninferiority,
    proportions,
    quantiles,
    ranks,
    ratio,
    srm,
)
from ml.experiments.boundaries import crossing_probability, spending_boundaries
from ml.experiments.spending import Spending

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "reference" / "peers.json").read_text())
TABLES = [(48, 80, 56, 70), (500, 10_000, 560, 10_000), (3, 30, 9, 28), (99, 100, 90, 100)]


@pytest.mark.parametrize("table", TABLES)
def test_proportions_agree_with_statsmodels_when_counts_are_ordinary(table: tuple[int, int, int, int]) -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    x_c, n_c, x_t, n_t = table
    z, p = proportion.proportions_ztest([x_t, x_c], [n_t, n_c])
    mine = proportions.two_proportion_z_test(*table)
    assert (mine.statistic, mine.p_value) == pytest.approx((z, p), rel=1e-9)
    for method, function in (
        ("newcomb", proportions.newcombe_interval),
        ("wald", proportions.wald_interval),
        ("agresti-caffo", proportions.agresti_caffo_interval),
    ):
        theirs = proportion.confint_proportions_2indep(x_t, n_t, x_c, n_c, method=method)
        assert tuple(function(*table)) == pytest.approx(theirs, abs=1e-9)
    for method, single in (("wilson", proportions.wilson_interval), ("beta", proportions.clopper_pearson_interval)):
        assert tuple(single(x_t, n_t)) == pytest.approx(
            proportion.proportion_confint(x_t, n_t, method=method), abs=1e-9
        )


def test_planning_agrees_with_statsmodels_when_designs_are_ordinary() -> None:
    power = pytest.importorskip("statsmodels.stats.power")
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for d in (0.1, 0.35, 1.2):
        theirs = power.TTestIndPower().solve_power(d, alpha=0.05, power=0.9)
        assert design.mean_sample_size(d, 1.0, power=0.9) == pytest.approx(theirs, rel=1e-6)
    for p1, p2 in ((0.1, 0.12), (0.5, 0.4)):
        theirs = proportion.samplesize_proportions_2indep_onetail(p1 - p2, p2, 0.8, alpha=0.05)
        assert design.proportion_sample_size(p2, p1, power=0.8) == pytest.approx(theirs, rel=1e-3)


def test_clustered_errors_agree_with_statsmodels_when_rows_repeat() -> None:
    models = pytest.importorskip("statsmodels.regression.linear_model")
    rng = np.random.default_rng(0)
    user = np.sort(rng.integers(0, 60, 400))
    treated = (user % 2).astype(float)
    y = rng.normal(size=60)[user] + rng.normal(size=400) + 0.3 * treated
    mine = clusters.clustered_difference(y, treated, user)
    fit = models.OLS(y, np.column_stack([np.ones(400), treated]))
    clustered = fit.fit(cov_type="cluster", cov_kwds={"groups": user})
    assert mine.difference == pytest.approx(clustered.params[1])
    assert mine.standard_error == pytest.approx(clustered.bse[1], rel=1e-9)
    assert mine.independent_standard_error == pytest.approx(fit.fit(cov_type="HC1").bse[1], rel=1e-9)


def test_adjustments_agree_with_statsmodels_when_p_values_are_random() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(1).uniform(size=30) ** 2
    for name, function in (
        ("bonferroni", multiplicity.bonferroni),
        ("holm", multiplicity.holm),
        ("fdr_bh", multiplicity.benjamini_hochberg),
    ):
        assert function(p).p_values == pytest.approx(multitest.multipletests(p, method=name)[1])


def experiment() -> tuple[Any, dict[str, np.ndarray]]:
    rng = np.random.default_rng(2)
    n = 4_000
    data = {
        "variant": rng.integers(0, 2, n),
        "orders": rng.poisson(1.0, n).astype(float),
        "sessions": 1.0 + rng.poisson(2.0, n),
    }
    data["revenue"] = data["orders"] * rng.lognormal(2.0, 0.5, n) * (1.0 + 0.1 * data["variant"])
    data["revenue_before"] = data["revenue"] * rng.uniform(0.5, 1.5, n)
    return pytest.importorskip("pyarrow").table(data), data


def test_metrics_agree_with_tea_tasting_when_one_experiment_is_analysed() -> None:
    tea = pytest.importorskip("tea_tasting")
    table, data = experiment()
    result = tea.Experiment(
        mean=tea.Mean("revenue"), ratio=tea.RatioOfMeans("orders", "sessions"), ratio_check=tea.SampleRatio()
    ).analyze(table)
    arms = [data["variant"] == k for k in (0, 1)]
    control, treatment = (means.moments_from_data(data["revenue"][arm]) for arm in arms)
    welch = means.welch_t_test(control, treatment)
    assert result["mean"].effect_size == pytest.approx(welch.estimate)
    assert result["mean"].pvalue == pytest.approx(welch.p_value, rel=1e-9)
    assert (result["mean"].effect_size_ci_lower, result["mean"].effect_size_ci_upper) == pytest.approx(welch.interval)
    arms_of_means = (control.mean, control.variance_of_mean, treatment.mean, treatment.variance_of_mean)
    log_interval = lift.log_ratio_interval(*arms_of_means)
    theirs = (result["mean"].rel_effect_size_ci_lower, result["mean"].rel_effect_size_ci_upper)
    assert theirs == pytest.approx(log_interval, rel=5e-3)  # tea-tasting uses Student's t
    sums = [ratio.ratio_sums(data["orders"][arm], data["sessions"][arm]) for arm in arms]
    mine = ratio.compare_ratios(*sums)
    assert result["ratio"].effect_size == pytest.approx(mine.estimate)
    assert result["ratio"].pvalue == pytest.approx(mine.p_value, rel=5e-3)
    counts = [int(arm.sum()) for arm in arms]
    assert result["ratio_check"].pvalue == pytest.approx(srm.sample_ratio_test(counts, [1, 1]).p_value, rel=0.05)


def test_ranks_and_quantiles_agree_with_scipy_when_samples_are_large() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=300), rng.normal(0.2, 1, 280)
    assert ranks.mann_whitney_test(a, b).p_value == pytest.approx(stats.mannwhitneyu(b, a).pvalue)
    low, high = stats.mstats.mquantiles_cimj(a, [0.5])
    interval = quantiles.quantile_estimate(a, 0.5).interval
    assert interval == pytest.approx((low[0], high[0]), abs=0.08)
    theirs = stats.ttest_ind(b, a, equal_var=False, alternative="less")
    mine = noninferiority.noninferior_mean(
        means.moments_from_data(a), means.moments_from_data(b), margin=1e-12, better="lower"
    )
    assert mine.p_value == pytest.approx(theirs.pvalue, rel=1e-6)


@pytest.mark.parametrize(("looks", "tolerance"), [("5", 1e-4), ("30", 5e-4), ("120", 5e-3)])
def test_boundaries_agree_with_spotify_within_its_own_error_when_power_spending(looks: str, tolerance: float) -> None:
    peer = RECORDED["spotify-confidence 4.1.0"]
    theirs = peer["looks"][looks]["bounds"]
    times = np.arange(1, int(looks) + 1)
    ours = [
        look.boundary
        for look in spending_boundaries(times, spending=Spending("power", peer["rho"]), alpha=peer["alpha"], sides=1)
    ]
    assert ours == pytest.approx(theirs, abs=tolerance)
    # Where the two differ, ours is right: its boundaries are crossed with exactly alpha.
    exact = abs(crossing_probability(times, ours, sides=1) - peer["alpha"])
    assert exact < 1e-9
    assert exact <= abs(crossing_probability(times, theirs, sides=1) - peer["alpha"])


@pytest.mark.parametrize("difference", ["absolute", "relative"])
def test_t_and_sequential_tests_agree_with_gbstats_when_run_on_its_data(difference: str) -> None:
    peer = RECORDED["gbstats 0.8.0"]
    control, treatment = (
        means.moments_from_sums(3_407, 1396.87, 52377.9767),
        means.moments_from_sums(3_461, 2422.7, 134698.29),
    )
    compare = means.welch_t_test if difference == "absolute" else lift.relative_lift_of_means
    mine = compare(control, treatment)
    theirs = peer[f"t-{difference}"]
    assert (mine.estimate, mine.p_value) == pytest.approx((theirs["expected"], theirs["p_value"]), rel=1e-9)
    assert mine.interval == pytest.approx(theirs["interval"], rel=1e-9)
    sequence = mixtures.confidence_sequence(mine.estimate, mine.standard_error, 3_407 + 3_461, tuned_for=1_000)
    theirs = peer[f"sequential-{difference}"]
    assert sequence.interval == pytest.approx(theirs["interval"], rel=1e-9)
    assert sequence.p_value == pytest.approx(theirs["p_value"], rel=1e-9)
