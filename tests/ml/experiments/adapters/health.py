"""Sample ratio, ramps, assignment, Prometheus, drift and the Bayesian view."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ml.experiments import (
    assignment,
    bayesian,
    drift,
    lift,
    prometheus,
    ratio,
    srm,
    strata,
)

Answer = Mapping[str, Any]
Inputs = Mapping[str, Any]


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


def assignment_case(i: Inputs) -> Answer:
    return {
        "share_first_wrong": assignment.product_rendezvous_shares(i["weights"])[0],
        "share_first_right": assignment.rendezvous_shares(i["weights"])[0],
    }


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
