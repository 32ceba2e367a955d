"""Group sequential and anytime-valid methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ml.experiments import (
    bernoulli_sequences,
    boundaries,
    characteristics,
    futility,
    lift,
    means,
    mixtures,
    sequential_quantiles,
    sprt,
)
from ml.experiments.spending import Spending
from ml.experiments.validation import FloatArray

Answer = Mapping[str, Any]
Inputs = Mapping[str, Any]


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
