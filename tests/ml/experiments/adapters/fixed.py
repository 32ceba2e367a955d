"""Fixed-horizon tests, intervals and planning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.experiments import (
    bootstrap,
    clusters,
    cuped,
    design,
    lift,
    means,
    multiplicity,
    noninferiority,
    noninferiority_design,
    proportions,
    quantiles,
    ranks,
    ratio,
)
from ml.experiments.results import Interval

Answer = Mapping[str, Any]
Inputs = Mapping[str, Any]


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


def quantile_point(i: Inputs) -> Answer:
    definition = 6 if "(n+1)p" in i["definition"] else 7
    return {"value": quantiles.sample_quantile(i["data"], i["quantile"], definition=definition)}


def bootstrap_case(i: Inputs) -> Answer:
    return {
        "ideal_bootstrap_se_of_median": bootstrap.ideal_bootstrap_se_of_median(i["data"]),
        "ideal_bootstrap_se_of_mean": bootstrap.ideal_bootstrap_se_of_mean(i["data"]),
    }


def cluster_robust_se(i: Inputs) -> Answer:
    test = clusters.clustered_difference(i["y"], i["treated"], i["cluster"])
    return {
        "diff": test.difference,
        "se_cluster_cr1": test.standard_error,
        "se_hc1": test.independent_standard_error,
        "design_effect_se": test.design_effect,
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
