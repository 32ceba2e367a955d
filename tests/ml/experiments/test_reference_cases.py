"""Every published or recomputed reference number, through the public functions.

The adapters translate a case's inputs into calls; they hold no numbers of their own. What a case expects is
compared key by key, so that a key without an answer fails.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from ml.experiments import (
    assignment,
    bayesian,
    bernoulli_sequences,
    bootstrap,
    boundaries,
    characteristics,
    clusters,
    cuped,
    design,
    drift,
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
    ratio,
    sequential_quantiles,
    sprt,
    srm,
    strata,
)
from ml.experiments.results import Interval
from ml.experiments.spending import Spending
from ml.experiments.validation import FloatArray

Answer = Mapping[str, Any]
Inputs = Mapping[str, Any]
CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "reference" / "ab_reference_public.json").read_text()
)["cases"]


def two_proportion(i: Inputs) -> Answer:
    if "successes" in i:
        chi = proportions.equal_proportions_test(i["successes"], i["n"])
        return {"chi2": chi.statistic, "df": chi.degrees_of_freedom, "p_value": chi.p_value}
    counts = (i["control"]["x"], i["control"]["n"], i["treatment"]["x"], i["treatment"]["n"])
    pooled = proportions.two_proportion_z_test(*counts)
    unpooled = proportions.two_proportion_z_test(*counts, pooled=False)
    return {
        "diff": pooled.estimate,
        "z_pooled": pooled.statistic,
        "p_two_sided_pooled": pooled.p_value,
        "z_unpooled": unpooled.statistic,
        "p_two_sided_unpooled": unpooled.p_value,
        "p_greater_pooled": proportions.two_proportion_z_test(*counts, alternative="greater").p_value,
    }


def two_proportion_ci(i: Inputs) -> Answer:
    counts = (i["control"]["x"], i["control"]["n"], i["treatment"]["x"], i["treatment"]["n"])
    wald = proportions.wald_interval(*counts, alpha=i["alpha"])
    return {
        "diff": (wald.low + wald.high) / 2,
        "diff_ci_wald": wald,
        "diff_ci_newcombe_hybrid_score": proportions.newcombe_interval(*counts, alpha=i["alpha"]),
    }


def proportion_ci(i: Inputs) -> Answer:
    return {"wilson_ci": proportions.wilson_interval(i["x"], i["n"], alpha=i["alpha"])}


def fisher_exact(i: Inputs) -> Answer:
    (a, b), (c, d) = i["table"]
    return {
        "p_two_sided": proportions.fisher_exact(c, c + d, a, a + b),
        "p_greater": proportions.fisher_exact(c, c + d, a, a + b, alternative="greater"),
    }


def welch_t(i: Inputs) -> Answer:
    if "a" in i:
        a, b = (means.Moments(i[k]["n"], i[k]["mean"], i[k]["var"]) for k in ("a", "b"))
        pooled, welch = means.pooled_t_test(b, a), means.welch_t_test(b, a)
        return {
            "t_pooled": pooled.statistic,
            "p_pooled": pooled.p_value,
            "t_welch": welch.statistic,
            "p_welch": welch.p_value,
        }
    control, treatment = (
        means.moments_from_sums(i[k]["n"], i[k]["sum"], i[k]["sum_squares"]) for k in ("control", "treatment")
    )
    t = means.welch_t_test(control, treatment, alpha=i["alpha"])
    relative = lift.relative_lift_of_means(control, treatment, alpha=i["alpha"])
    return {
        "absolute": {
            "diff": t.estimate,
            "se": t.standard_error,
            "df": t.degrees_of_freedom,
            "t": t.statistic,
            "p_two_sided": t.p_value,
            "ci": t.interval,
        },
        "relative": {
            "lift": relative.estimate,
            "se_delta": relative.standard_error,
            "ci": relative.interval,
            "p_two_sided": relative.p_value,
        },
    }


def mann_whitney(i: Inputs) -> Answer:
    test = ranks.mann_whitney_test(i["y"], i["x"], method=i["method"])
    return {"U_x": test.u_treatment, "p_two_sided": test.p_value}


def sample_size_proportions(i: Inputs) -> Answer:
    side = "two-sided" if i["two_sided"] else "greater"
    if "baseline" in i:
        size = design.proportion_sample_size(
            i["baseline"],
            i["baseline"] + i["mde_absolute"],
            alpha=i["alpha"],
            power=i["power"],
            alternative=side,
            null_variance="baseline",
        )
        return {"n_per_arm": size, "n_per_arm_rounded": round(size)}
    if "n_per_arm" in i:
        return {"power": design.proportion_power(i["p1"], i["p2"], i["n_per_arm"], alpha=i["alpha"], alternative=side)}
    return {
        "n_per_arm": design.proportion_sample_size(
            i["p1"], i["p2"], alpha=i["alpha"], power=i["power"], alternative=side
        )
    }


def sample_size_means(i: Inputs) -> Answer:
    side = "two-sided" if i["two_sided"] else "greater"
    effect, sd = i.get("cohen_d", i.get("effect")), i.get("sd", 1.0)
    t = design.mean_sample_size(effect, sd, alpha=i["alpha"], power=i["power"], alternative=side)
    normal = design.mean_sample_size(effect, sd, alpha=i["alpha"], power=i["power"], alternative=side, method="normal")
    # rpact, the source of the totals, leaves the wrong tail out of the power; R's pwr counts it.
    one_tail = design.mean_sample_size(effect, sd, alpha=i["alpha"], power=i["power"], alternative=side, tails="effect")
    return {"n_per_arm": t, "n_total_t": 2 * one_tail, "n_total_normal": 2 * normal}


def power_means(i: Inputs) -> Answer:
    power = design.mean_power(
        i["cohen_d"],
        1.0,
        i["n1"],
        i["n2"],
        alpha=i["alpha"],
        alternative="greater" if i["alternative"] == "larger" else i["alternative"],
    )
    return {"power": power}


def noninferiority_sample_size(i: Inputs) -> Answer:
    rates = (i["p_control"], i["p_treatment"])
    # An error rate near 0 is better low, an accuracy near 1 better high; a case names the margin only.
    better = "lower" if i["p_control"] < 0.5 else "higher"
    options: dict[str, Any] = {
        "margin": i["margin"],
        "better": better,
        "alpha": i["alpha_one_sided"],
        "power": i["power"],
    }
    return {
        "n_per_arm_unpooled": noninferiority_design.noninferiority_sample_size(*rates, **options),
        "n_total_farrington_manning": 2
        * noninferiority_design.noninferiority_sample_size(*rates, **options, method="farrington-manning"),
    }


def noninferiority_test(i: Inputs) -> Answer:
    test = noninferiority.noninferior_proportion(
        i["control"]["x"],
        i["control"]["n"],
        i["treatment"]["x"],
        i["treatment"]["n"],
        margin=i["margin"],
        better="lower" if i["direction"].startswith("lower") else "higher",
        alpha=i["alpha_one_sided"],
    )
    return {
        "diff": test.difference,
        "upper_bound": test.bound,
        "z": test.statistic,
        "p_one_sided": test.p_value,
        "non_inferior": test.non_inferior,
    }


def mde(i: Inputs) -> Answer:
    effect = design.proportion_minimum_detectable_effect(
        i["baseline"], i["n_per_arm"], alpha=i["alpha"], power=i["power"]
    )
    return {"mde_absolute": effect, "mde_relative": effect / i["baseline"]}


def group_sequential_bounds(i: Inputs) -> Answer:
    looks: FloatArray = np.arange(1.0, i["K"] + 1.0)
    alpha = float(i["alpha_two_sided"])
    if "delta" in i:
        bounds = boundaries.wang_tsiatis_boundaries(looks, delta=i["delta"], alpha=alpha)
        inflation = characteristics.efficiency(looks, bounds, alpha=alpha, power=i["power"]).inflation
        return {"inflation_factor": inflation, "final_bound": bounds[-1], "z_bounds": bounds}
    if i["type"] == "Pocock":
        return {"z_bound_all_looks": boundaries.pocock_boundary(i["K"], alpha=alpha)}
    return {"z_bounds": boundaries.obrien_fleming_boundaries(i["K"], alpha=alpha)}


def _spending(name: str) -> Spending:
    if "O'Brien" in name:
        return Spending("obrien-fleming")
    if "Pocock" in name:
        return Spending("pocock")
    family, _, parameter = name.partition("=")
    return Spending("hwang-shih-decani" if "gamma" in family else "power", float(parameter))


def alpha_spending(i: Inputs) -> Answer:
    if "t" in i:
        spending = Spending("pocock")
        return {"alpha_spent_two_sided": [spending.spent(t, i["alpha_two_sided"]) for t in i["t"]]}
    two_sided = "alpha_two_sided" in i
    looks = boundaries.spending_boundaries(
        i["information"],
        spending=_spending(i["spending"]),
        alpha=i["alpha_two_sided"] if two_sided else i["alpha_one_sided"],
        sides=2 if two_sided else 1,
    )
    return {"z_bounds": [look.boundary for look in looks]}


def group_sequential_asn(i: Inputs) -> Answer:
    looks: FloatArray = np.arange(1.0, i["K"] + 1.0)
    alpha = float(i["alpha_two_sided"])
    bounds = boundaries.wang_tsiatis_boundaries(looks, delta=0.5 if i["type"] == "Pocock" else 0.0, alpha=alpha)
    sizes = characteristics.expected_sample_size(looks, bounds, i["theta_multiples"], alpha=alpha, power=i["power"])
    inflation = characteristics.efficiency(looks, bounds, alpha=alpha, power=i["power"]).inflation
    return {"max_n_pct_of_fixed": 100 * inflation, "expected_n_pct_of_fixed": [100 * n for n in sizes]}


def naive_peeking_type1(i: Inputs) -> Answer:
    return {"type1": [boundaries.naive_peeking_error(k, alpha=i["nominal_alpha_two_sided"]) for k in i["K"]]}


def conditional_power(i: Inputs) -> Answer:
    return {
        "conditional_power": futility.conditional_power(i["z_interim"], i["information"], alpha=i["alpha_one_sided"])
    }


def anytime_valid_ci(i: Inputs) -> Answer:
    control, treatment = (
        means.moments_from_sums(i[k]["n"], i[k]["sum"], i[k]["sum_squares"]) for k in ("control", "treatment")
    )
    relative = lift.relative_lift_of_means(control, treatment, alpha=i["alpha"])
    sequence = mixtures.confidence_sequence(
        relative.estimate,
        relative.standard_error,
        control.n + treatment.n,
        tuned_for=i["tuning_n_star"],
        alpha=i["alpha"],
    )
    return {
        "lift": relative.estimate,
        "se": relative.standard_error,
        "ci": sequence.interval,
        "p_value": sequence.p_value,
    }


def anytime_valid_boundary(i: Inputs, case: Mapping[str, Any]) -> Answer:
    sides = 1 if "one-sided" in case["id"] else 2
    rho = mixtures.best_rho(i["v_opt"], i["alpha_opt"], sides=sides)
    return {
        "rho": rho,
        "bound_on_sum": mixtures.mixture_boundary(i["v"], i["alpha"], rho, sides=sides),
        "log_mixture_at_s10": mixtures.log_mixture(10.0, i["v"], rho, sides=sides),
    }


def anytime_valid_ci_proportion(i: Inputs) -> Answer:
    return {
        "ci": bernoulli_sequences.bernoulli_confidence_sequence(i["x"], i["n"], tuned_for=i["t_opt"], alpha=i["alpha"])
    }


def anytime_valid_quantile_ab(i: Inputs) -> Answer:
    a = np.arange(1.0, 1001.0)
    return {
        "p_values": [
            sequential_quantiles.sequential_quantile_p_value(
                a, a + offset, i["quantile"], tuned_for=i["t_opt"], tuned_alpha=i["alpha_opt"]
            )
            for offset in i["offsets"]
        ]
    }


def msprt(i: Inputs) -> Answer:
    test = sprt.normal_msprt(i["diff"], i["var_of_diff"], i["tau_squared"], alpha=i["alpha"])
    return {
        "likelihood_ratio": test.likelihood_ratio,
        "p_value": test.p_value,
        "ci_half_width": test.interval_half_width,
    }


def wald_sprt(i: Inputs) -> Answer:
    test = sprt.bernoulli_sprt_design(i["p0"], i["p1"], alpha=i["alpha"], beta=i["beta"])
    return {
        "log_upper": test.log_upper,
        "log_lower": test.log_lower,
        "asn_h0": test.expected_n_null,
        "asn_h1": test.expected_n_alternative,
    }


def simple_sequential(i: Inputs) -> Answer:
    n = i["N_conversions"]
    return {
        "threshold": sprt.conversion_threshold(n),
        "type1_one_sided": sprt.lead_probability(n, i["threshold"], p_treatment=i["p_treatment_success"]),
    }


def srm_test(i: Inputs) -> Answer:
    test = srm.sample_ratio_test(i["observed"], i["weights"])
    return {"chi2": test.statistic, "df": test.degrees_of_freedom, "p_value": test.p_value}


def srm_sequential(i: Inputs) -> Answer:
    test = srm.sequential_sample_ratio_test(i["observed"], i["weights"], prior=i["dirichlet_prior"])
    return {"log_bayes_factor": test.log_bayes_factor, "p_value": test.p_value}


def srm_ramp(i: Inputs) -> Answer:
    test = srm.epoch_sample_ratio_test([srm.Epoch(e["weights"], e["observed"]) for e in i["epochs"]])
    pooled = np.sum([e["observed"] for e in i["epochs"]], axis=0)
    return {
        "chi2_by_epoch_sum": test.statistic,
        "df": test.degrees_of_freedom,
        "p_value": test.p_value,
        "naive_pooled_5050_p": srm.sample_ratio_test(pooled, [0.5, 0.5]).p_value,
    }


def cuped_case(i: Inputs) -> Answer:
    if "rho" in i:
        return {
            "variance_factor": cuped.cuped_variance_factor(i["rho"]),
            "n_with": cuped.cuped_sample_size(i["n_without"], i["rho"]),
        }
    if "pre" in i:
        return {"theta": cuped.cuped_theta(i["pre"], i["post"], i["pre"], i["post"])}
    c, t = i["control"], i["treatment"]
    result = cuped.cuped_means(c["pre"], c["post"], t["pre"], t["post"])
    return {
        "theta": result.theta,
        "diff_raw": result.raw_difference,
        "se_raw": result.raw_standard_error,
        "diff_adjusted": result.difference,
        "se_adjusted": result.standard_error,
        "variance_reduction": result.variance_reduction,
    }


def delta_method(i: Inputs) -> Answer:
    if "numerator" in i:
        estimate = ratio.ratio_estimate(ratio.ratio_sums(i["numerator"], i["denominator"]))
        return {
            "ratio": estimate.ratio,
            "covariance": estimate.covariance,
            "unit_variance": estimate.unit_variance,
            "se": estimate.standard_error,
        }
    c, t = i["control"], i["treatment"]
    arms = (c["mean"], c["var_of_mean"], t["mean"], t["var_of_mean"])
    relative = lift.relative_lift(*arms, alpha=i["alpha"])
    return {
        "lift": relative.estimate,
        "fieller_ci": lift.fieller_interval(*arms, alpha=i["alpha"]),
        "delta_ci": relative.interval,
    }


def multiple_testing(i: Inputs) -> Answer:
    alpha = i.get("alpha", 0.05)
    bh = multiplicity.benjamini_hochberg(i["p_values"], alpha=alpha)
    return {
        "rejected_bh": bh.count,
        "rejected_bonferroni": multiplicity.bonferroni(i["p_values"], alpha=alpha).count,
        "rejected_holm": multiplicity.holm(i["p_values"], alpha=alpha).count,
        "bh_adjusted": bh.p_values,
    }


def quantile_ci(i: Inputs) -> Answer:
    outer = quantiles.outer_quantile_indices(i["n"], i["quantile"], alpha=i["alpha"])
    exact = quantiles.quantile_rank_interval(i["n"], i["quantile"], alpha=i["alpha"])
    return {**exact._asdict(), "lower_index": outer.low, "upper_index": outer.high}


def quantile_test(i: Inputs) -> Answer:
    arms = [
        quantiles.QuantileEstimate(i[k]["q"], Interval(i[k]["lower"], i[k]["upper"]), 0.0, i[k]["n"])
        for k in ("control", "treatment")
    ]
    test = quantiles.compare_quantile_intervals(*arms, alpha=i["alpha"])
    return {"diff": test.estimate, "se": test.standard_error, "ci": test.interval}


def bootstrap_case(i: Inputs) -> Answer:
    return {
        "ideal_bootstrap_se_of_median": bootstrap.ideal_bootstrap_se_of_median(i["data"]),
        "ideal_bootstrap_se_of_mean": bootstrap.ideal_bootstrap_se_of_mean(i["data"]),
    }


def quantile_point(i: Inputs) -> Answer:
    definition = 6 if "(n+1)p" in i["definition"] else 7
    return {"value": quantiles.sample_quantile(i["data"], i["quantile"], definition=definition)}


def prometheus_histogram_quantile(i: Inputs) -> Answer:
    bounds = [math.inf if b == "+Inf" else b for b in i["le_seconds"]]
    return {"seconds": prometheus.histogram_quantile(bounds, i["cumulative"], i["quantile"])}


def drift_case(i: Inputs) -> Answer:
    if "u" in i:
        return {"wasserstein": drift.wasserstein_distance(i["u"], i["v"])}
    if "reference" in i:
        test = drift.kolmogorov_smirnov_test(i["reference"], i["current"])
        return {"ks_statistic": test.distance, "ks_p_exact": test.p_value}
    if "expected_share" in i:
        psi = drift.population_stability_index(i["expected_share"], i["actual_share"])
        verdict = {"stable": "stable (< .1)"}.get(drift.psi_verdict(psi), drift.psi_verdict(psi))
        return {"psi": psi, "verdict": verdict}
    pair = (i["reference_counts"], i["current_counts"])
    return {
        "chi2_gof_p": drift.chi_square_drift_test(*pair).p_value,
        "hellinger": drift.hellinger_distance(*pair),
        "psi": drift.population_stability_index(*pair),
    }


def bayesian_case(i: Inputs) -> Answer:
    c, t = i["control"], i["treatment"]
    if i["prior"] == "flat":
        p_c, p_t = c["x"] / c["n"], t["x"] / t["n"]
        v_c, v_t = p_c * (1 - p_c) / c["n"], p_t * (1 - p_t) / t["n"]
        relative = lift.relative_lift(p_c, v_c, p_t, v_t)
        posterior = bayesian.normal_posterior(relative.estimate, relative.standard_error)
        return {
            "chance_to_win": posterior.chance_to_win,
            "lift": posterior.effect,
            "ci": posterior.interval,
            "risk": [posterior.loss_of_control, posterior.loss_of_treatment],
        }
    result = bayesian.beta_comparison(c["x"], c["n"], t["x"], t["n"])
    return {
        "prob_treatment_better": result.chance_to_win,
        "expected_loss_choosing_treatment": result.loss_of_treatment,
    }


def bandit(i: Inputs) -> Answer:
    return {"prob_best": bayesian.probability_best([tuple(p) for p in i["posteriors_beta"]])}


def cluster_robust_se(i: Inputs) -> Answer:
    test = clusters.clustered_difference(i["y"], i["treated"], i["cluster"])
    return {
        "diff": test.difference,
        "se_cluster_cr1": test.standard_error,
        "se_hc1": test.independent_standard_error,
        "design_effect_se": test.design_effect,
    }


def sequential_efficiency(i: Inputs) -> Answer:
    times: FloatArray = np.arange(1.0, i["K"] + 1.0) / float(i["K"])
    bounds = [mixtures.mixture_z_boundary(t, rho=i["rho_over_horizon"], alpha=i["alpha"]) for t in times.tolist()]
    result = characteristics.efficiency(times, bounds, alpha=i["alpha"], power=i["fixed_power"])
    return {
        "type1_within_horizon": result.type_one_error,
        "power_at_fixed_n": result.power_at_fixed_size,
        "max_n_over_fixed": result.inflation,
        "asn_h1_over_fixed": result.expected_under_alternative,
    }


def assignment_case(i: Inputs) -> Answer:
    return {
        "share_first_wrong": assignment.product_rendezvous_shares(i["weights"])[0],
        "share_first_right": assignment.rendezvous_shares(i["weights"])[0],
    }


def ramp_stratification(i: Inputs) -> Answer:
    epochs = [
        strata.Stratum(
            control=ratio.proportion_sums(e["control"]["x"], e["control"]["n"]),
            treatment=ratio.proportion_sums(e["treatment"]["x"], e["treatment"]["n"]),
        )
        for e in i["epochs"]
    ]
    effect = strata.mantel_haenszel_proportions(
        *([e[arm][key] for e in i["epochs"]] for arm in ("control", "treatment") for key in ("x", "n"))
    )
    control = sum((e.control for e in epochs[1:]), epochs[0].control)
    treatment = sum((e.treatment for e in epochs[1:]), epochs[0].treatment)
    pooled = ratio.compare_ratios(control, treatment).estimate
    return {
        "pooled_diff": pooled,
        "stratum_diffs": effect.stratum_differences,
        "mantel_haenszel_diff": effect.difference,
        "se_stratified": effect.standard_error,
        "sign_pooled": "positive" if pooled > 0 else "negative",
        "sign_stratified": "positive" if effect.difference > 0 else "negative",
    }


ADAPTERS: dict[str, Callable[[Inputs], Answer]] = {
    "two_proportion": two_proportion,
    "two_proportion_ci": two_proportion_ci,
    "proportion_ci": proportion_ci,
    "fisher_exact": fisher_exact,
    "welch_t": welch_t,
    "mann_whitney": mann_whitney,
    "sample_size_proportions": sample_size_proportions,
    "sample_size_means": sample_size_means,
    "power_means": power_means,
    "noninferiority_sample_size": noninferiority_sample_size,
    "noninferiority_test": noninferiority_test,
    "mde": mde,
    "group_sequential_bounds": group_sequential_bounds,
    "alpha_spending": alpha_spending,
    "group_sequential_asn": group_sequential_asn,
    "naive_peeking_type1": naive_peeking_type1,
    "conditional_power": conditional_power,
    "anytime_valid_ci": anytime_valid_ci,
    "anytime_valid_ci_proportion": anytime_valid_ci_proportion,
    "anytime_valid_quantile_ab": anytime_valid_quantile_ab,
    "msprt": msprt,
    "sprt": wald_sprt,
    "simple_sequential": simple_sequential,
    "srm": srm_test,
    "srm_sequential": srm_sequential,
    "srm_ramp": srm_ramp,
    "cuped": cuped_case,
    "delta_method": delta_method,
    "multiple_testing": multiple_testing,
    "quantile_ci": quantile_ci,
    "quantile_test": quantile_test,
    "bootstrap": bootstrap_case,
    "quantile_point": quantile_point,
    "prometheus_histogram_quantile": prometheus_histogram_quantile,
    "drift": drift_case,
    "bayesian": bayesian_case,
    "bandit": bandit,
    "cluster_robust_se": cluster_robust_se,
    "sequential_efficiency": sequential_efficiency,
    "assignment": assignment_case,
    "ramp_stratification": ramp_stratification,
}


def answer(case: Mapping[str, Any]) -> Answer:
    if case["topic"] == "anytime_valid_boundary":
        return anytime_valid_boundary(case["inputs"], case)
    return ADAPTERS[case["topic"]](case["inputs"])


def assert_close(path: str, expected: Any, got: Any, tolerance: Mapping[str, float]) -> None:
    if isinstance(expected, Mapping):
        for key, value in cast("Mapping[str, Any]", expected).items():
            assert key in got, f"{path}: no answer for {key}"
            assert_close(f"{path}.{key}", value, got[key], tolerance)
    elif isinstance(expected, str | bool):
        assert got == expected, f"{path}: {got} is not {expected}"
    elif isinstance(expected, Sequence):
        wanted = cast("Sequence[Any]", expected)
        assert len(got) == len(wanted), f"{path}: {got} is not {wanted}"
        for position, (value, mine) in enumerate(zip(wanted, got, strict=True)):
            assert_close(f"{path}[{position}]", value, mine, tolerance)
    else:
        gap = abs(float(got) - float(expected))
        allowed = max(tolerance.get("abs", 0.0), tolerance.get("rel", 0.0) * abs(float(expected)))
        # A reference printed as 0.0 with a relative tolerance stands for "too small to print".
        allowed = max(allowed, 1e-300 if expected == 0.0 else 0.0)
        assert gap <= allowed, f"{path}: {got} differs from {expected} by {gap}, allowed {allowed}"


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_public_function_matches_reference_when_given_its_inputs(case: dict[str, Any]) -> None:
    assert_close(case["id"], case["expected"], answer(case), case["tolerance"])


def test_every_topic_has_an_adapter_when_the_file_is_read() -> None:
    assert {case["topic"] for case in CASES} == {*ADAPTERS, "anytime_valid_boundary"}
    assert len(CASES) == 70
