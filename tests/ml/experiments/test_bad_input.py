"""Every public function refuses nonsense with a ValueError that names the argument; none answers with NaN."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ml.experiments import (
    bayesian,
    bernoulli_sequences,
    bootstrap,
    boundaries,
    characteristics,
    clusters,
    cuped,
    design,
    drift,
    drift_online,
    duration,
    dynamics,
    exceedance,
    futility,
    lift,
    means,
    mixtures,
    multiplicity,
    noninferiority,
    noninferiority_design,
    prometheus,
    proportions,
    quantiles,
    ranks,
    rates,
    ratio,
    sequential_quantiles,
    sprt,
    srm,
    stopping,
    strata,
)
from ml.experiments.results import Interval

NAN, INF = math.nan, math.inf
GOOD = means.Moments(10, 1.0, 1.0)
SUMS = ratio.RatioSums(200, 20.0, 400.0, 30.0, 900.0, 45.0)
FLAT = ratio.RatioSums(200, 0.0, 400.0, 0.0, 900.0, 0.0)


def _nan(values: object) -> float:
    return NAN if values is not None else 0.0


BAD: list[tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = [
    ("control_successes", proportions.two_proportion_z_test, (-1, 10, 1, 10), {}),
    ("control_successes", proportions.two_proportion_z_test, (11, 10, 1, 10), {}),
    ("treatment_n", proportions.two_proportion_z_test, (1, 10, 0, 0), {}),
    ("treatment_successes", proportions.two_proportion_z_test, (1, 10, 1.5, 10), {}),
    ("alpha", proportions.two_proportion_z_test, (1, 10, 2, 10), {"alpha": 1.0}),
    ("alternative", proportions.two_proportion_z_test, (1, 10, 2, 10), {"alternative": "larger"}),
    ("variance is zero", proportions.two_proportion_z_test, (0, 10, 0, 10), {}),
    ("control_n", proportions.fisher_exact, (1, NAN, 1, 10), {}),
    ("n", proportions.wilson_interval, (1, INF), {}),
    ("successes", proportions.equal_proportions_test, ([5, 6], [4, 10]), {}),
    ("variance is zero", proportions.equal_proportions_test, ([0, 0], [4, 10]), {}),
    ("alpha", proportions.newcombe_interval, (1, 10, 2, 10), {"alpha": 0.0}),
    ("alpha", proportions.clopper_pearson_interval, (1, 10), {"alpha": NAN}),
    ("alpha", proportions.agresti_caffo_interval, (1, 10, 2, 10), {"alpha": -0.1}),
    ("n", means.Moments, (1, 0.0, 1.0), {}),
    ("variance", means.Moments, (5, 0.0, -1.0), {}),
    ("total_of_squares", means.moments_from_sums, (4, 10.0, 1.0), {}),
    (r"values\[1\]", means.moments_from_data, ([1.0, NAN],), {}),
    ("values", means.moments_from_data, ([1.0],), {}),
    ("variance", means.welch_t_test, (means.Moments(5, 1.0, 0.0), means.Moments(5, 2.0, 0.0)), {}),
    ("null_difference", means.welch_t_test, (GOOD, GOOD), {"null_difference": INF}),
    ("parts", means.merge_moments, ([],), {}),
    ("control", ranks.mann_whitney_test, ([], [1.0]), {}),
    ("single value", ranks.mann_whitney_test, ([1.0, 1.0], [1.0]), {}),
    ("method", ranks.mann_whitney_test, ([1.0, 2.0], [2.0]), {"method": "exact"}),
    ("control_mean", lift.relative_lift, (0.0, 1.0, 1.0, 1.0), {}),
    ("control_variance_of_mean", lift.relative_lift, (1.0, -1.0, 1.0, 1.0), {}),
    ("control_mean", lift.fieller_interval, (1.0, 1.0, 1.0, 1.0), {}),
    ("treatment_mean", lift.log_ratio_interval, (1.0, 1.0, -1.0, 1.0), {}),
    ("denominator", ratio.ratio_sums, ([1.0, 2.0], [1.0, -2.0]), {}),
    ("denominator", ratio.ratio_sums, ([1.0, 2.0], [1.0]), {}),
    ("products", ratio.RatioSums, (10, 1.0, 1.0, 1.0, 1.0, 5.0), {}),
    ("successes", ratio.proportion_sums, (11, 10), {}),
    ("variance", ratio.compare_ratios, (FLAT, FLAT), {}),
    ("control_before", cuped.cuped_theta, ([1.0, 1.0], [1.0, 2.0], [1.0, 1.0], [2.0, 3.0]), {}),
    ("correlation", cuped.cuped_variance_factor, (1.0,), {}),
    ("treated", clusters.clustered_difference, ([1.0, 2.0, 3.0, 4.0], [0, 0, 1, 2], [1, 2, 3, 4]), {}),
    ("cluster", clusters.clustered_difference, ([1.0, 2.0, 3.0, 4.0], [0, 0, 1, 1], [1, 1, 3, 4]), {}),
    ("correlation", clusters.design_effect, (10, 1.5), {}),
    ("cluster", clusters.intraclass_correlation, ([1.0, 2.0, 3.0], [1, 2, 3]), {}),
    ("quantile", quantiles.sample_quantile, ([1.0], 1.0), {}),
    ("definition", quantiles.sample_quantile, ([1.0], 0.5), {"definition": 5}),
    ("n=5", quantiles.quantile_rank_interval, (5, 0.95), {}),
    ("values has 10", quantiles.quantile_estimate, (list(range(10)), 0.95), {}),
    ("standard errors", quantiles.compare_quantiles, (quantiles.QuantileEstimate(1, Interval(1, 1), 0.0, 5),) * 2, {}),
    ("resamples", bootstrap.bootstrap, ([1.0, 2.0], np.mean), {"resamples": 10}),
    ("cluster", bootstrap.bootstrap, ([1.0, 2.0], np.mean), {"cluster": [1.0]}),
    ("statistic", bootstrap.bootstrap, ([1.0, 2.0], _nan), {}),
    ("margin", noninferiority.noninferior_proportion, (1, 10, 1, 10), {"margin": 0.0, "better": "lower"}),
    ("better", noninferiority.noninferior_proportion, (1, 10, 1, 10), {"margin": 0.1, "better": "less"}),
    ("margin", noninferiority.noninferior_mean, (GOOD, GOOD), {"margin": -1.0, "better": "lower"}),
    ("p_values", multiplicity.holm, ([0.1, 1.2],), {}),
    ("p_values", multiplicity.bonferroni, ([],), {}),
    ("alpha", multiplicity.benjamini_hochberg, ([0.1],), {"alpha": 2.0}),
    ("weights", multiplicity.HypothesisGraph, ({"a": 0.8, "b": 0.3}, {}), {}),
    ("transfers", multiplicity.HypothesisGraph, ({"a": 1.0}, {"a": {"b": 1.0}}), {}),
    ("p_values", multiplicity.graphical_test, (multiplicity.gatekeeper_graph("a", ("b",)), {"a": 0.1}), {}),
    ("secondary", multiplicity.gatekeeper_graph, ("a", ("a",)), {}),
    ("observed", srm.sample_ratio_test, ([1, -1], [1, 1]), {}),
    ("weights", srm.sample_ratio_test, ([1, 1], [1, 1, 1]), {}),
    ("weights", srm.sample_ratio_test, ([1, 0], [1, 0]), {}),
    ("weights", srm.sample_ratio_test, ([1, 1], [0, 0]), {}),
    ("observed", srm.sample_ratio_test, ([0, 0], [1, 1]), {}),
    ("observed", srm.sample_ratio_test, ([5, 1], [1, 0]), {}),
    ("prior", srm.sequential_sample_ratio_test, ([5, 1], [1, 1]), {"prior": [0, 1]}),
    ("epochs", srm.sequential_epoch_sample_ratio_test, ([],), {}),
    ("observed", srm.sequential_epoch_sample_ratio_test, ([srm.Epoch([1, 0], [1, 1])],), {}),
    ("strata", strata.mantel_haenszel, ([],), {}),
    ("control_successes", strata.mantel_haenszel_proportions, ([5], [4], [1], [4]), {}),
    ("strata", strata.inverse_variance, ([strata.Stratum(FLAT, FLAT)],), {}),
    ("periods", dynamics.novelty_check, ([strata.Stratum(SUMS, SUMS)] * 2, [1, 2]), {}),
    ("times", dynamics.novelty_check, ([strata.Stratum(SUMS, SUMS)] * 3, [1, 2]), {}),
    ("p_treatment", design.proportion_sample_size, (0.1, 0.1), {}),
    ("power", design.proportion_sample_size, (0.1, 0.2), {"power": 1.0}),
    ("power", design.proportion_sample_size, (0.1, 0.2), {"power": 0.01}),
    ("p_control", design.proportion_power, (0.0, 0.2, 10), {}),
    ("n_per_arm", design.proportion_minimum_detectable_effect, (0.5, 3), {}),
    ("effect", design.mean_sample_size, (0.0, 1.0), {}),
    ("standard_deviation", design.mean_sample_size, (1.0, 0.0), {}),
    ("n_control", design.mean_power, (1.0, 1.0, 1, 1), {}),
    (
        "p_treatment",
        noninferiority_design.noninferiority_sample_size,
        (0.05, 0.07),
        {"margin": 0.01, "better": "lower"},
    ),
    (
        "expected_harm",
        noninferiority_design.noninferiority_sample_size_of_mean,
        (1.0,),
        {"margin": 0.1, "expected_harm": 0.1},
    ),
    ("units_per_second", duration.expected_duration, (100, 0.0, [1, 1]), {}),
    ("weights", duration.expected_duration, (100, 1.0, [1, 0]), {}),
    ("boundaries", boundaries.crossing_probability, ([1, 2], [1.0, -1.0]), {}),
    ("boundaries", boundaries.crossing_probability, ([1, 2], [1.0]), {}),
    ("delta", boundaries.wang_tsiatis_boundaries, ([1, 2],), {"delta": NAN}),
    ("looks", boundaries.pocock_boundary, (0,), {}),
    ("drift", characteristics.sequential_characteristics, ([1.0], [2.0], 9.0), {}),
    ("power", characteristics.efficiency, ([1.0], [1.96]), {"power": 0.01}),
    ("fraction", futility.conditional_power, (1.0, 1.0), {}),
    ("z", futility.predictive_power, (NAN, 0.5), {}),
    ("information", futility.futility_boundaries, ([1.0],), {}),
    ("boundaries", stopping.estimate_after_stopping, ([1.0], [1.0, 2.0], 0.5), {}),
    ("rho", mixtures.mixture_boundary, (1.0, 0.05, 0.0), {}),
    ("alpha", mixtures.best_rho, (1.0, 0.6), {"sides": 1}),
    ("sides", mixtures.best_rho, (1.0, 0.05), {"sides": 3}),
    ("standard_error", mixtures.confidence_sequence, (1.0, 0.0, 10), {"tuned_for": 10}),
    ("tuned_for", bernoulli_sequences.bernoulli_confidence_sequence, (1, 10), {"tuned_for": 0}),
    ("successes", bernoulli_sequences.bernoulli_confidence_sequence, (11, 10), {"tuned_for": 5}),
    ("p1", sprt.bernoulli_sprt_design, (0.1, 0.1), {}),
    ("beta", sprt.bernoulli_sprt_design, (0.1, 0.2), {"alpha": 0.5, "beta": 0.5}),
    ("tau_squared", sprt.normal_msprt, (0.1, 0.1, 0.0), {}),
    ("threshold", sprt.lead_probability, (10, 0), {}),
    ("quantile", sequential_quantiles.sequential_quantile_p_value, ([1.0], [1.0], 0.0), {"tuned_for": 5}),
    ("control.n", exceedance.sequential_exceedance_test, (ratio.proportion_sums(1, 5), SUMS), {"tuned_for": 100}),
    ("variance is zero", exceedance.sequential_exceedance_test, (FLAT, FLAT), {"tuned_for": 100}),
    ("threshold", exceedance.exceedance_sums, ([1.0, 2.0], [1, 2], NAN), {}),
    ("epochs", rates.sequential_rate_test, ([],), {}),
    ("treatment_weight", rates.sequential_rate_test, ([rates.EventCounts(1.0, 1, 1)],), {}),
    ("control_events", rates.sequential_rate_test, ([rates.EventCounts(0.5, -1, 1)],), {}),
    ("standard_error", bayesian.normal_posterior, (1.0, 0.0), {}),
    ("control_successes", bayesian.beta_comparison, (5, 4, 1, 4), {}),
    ("posteriors", bayesian.probability_best, ([(1, 1)],), {}),
    ("bin is empty", drift.population_stability_index, ([0.5, 0.5], [1.0, 0.0]), {}),
    ("expected", drift.population_stability_index, ([0.5, -0.5], [1.0, 0.0]), {}),
    ("reference", drift.chi_square_drift_test, ([0, 5], [1, 5]), {}),
    ("current", drift.kolmogorov_smirnov_test, ([1.0], []), {}),
    ("permutations", drift.wasserstein_test, ([1.0], [2.0]), {"permutations": 1}),
    ("tests", drift.drift_over_features, ({},), {}),
    ("value", drift_online.MeanShiftDetector(0.5).update, (1.5,), {}),
    ("reference_mean", drift_online.MeanShiftDetector, (0.0,), {}),
    ("upper_bounds", prometheus.histogram_quantile, ([1.0, 2.0], [1, 2], 0.5), {}),
    ("cumulative", prometheus.histogram_quantile, ([1.0, INF], [2, 1], 0.5), {}),
    ("cumulative", prometheus.histogram_quantile, ([1.0, INF], [0, 0], 0.5), {}),
    ("threshold", prometheus.bucket_exceedances, ([1.0, INF], [1, 2], 0.7), {}),
    ("samples", prometheus.counter_increase, ([1.0],), {}),
    ("samples", prometheus.counter_increase, ([1.0, NAN],), {}),
]


@pytest.mark.parametrize(
    ("name", "function", "args", "options"), BAD, ids=[f"{f.__qualname__}-{n}" for n, f, _, _ in BAD]
)
def test_argument_is_named_when_it_makes_no_sense(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=name) as caught:
            function(*args, **options)
    assert "allowed" in str(caught.value)


@pytest.mark.parametrize("bad", [NAN, INF, -INF, "x", None])
def test_every_kind_of_nonsense_is_refused_when_a_number_is_asked_for(bad: Any) -> None:
    for function, position in (
        (proportions.wilson_interval, 0),
        (proportions.wilson_interval, 1),
        (design.mean_sample_size, 0),
    ):
        args: list[Any] = [1, 10]
        args[position] = bad
        with pytest.raises(ValueError, match="allowed"):
            function(*args)
