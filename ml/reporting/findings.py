"""One comparison at a time: the method that fits the columns at hand, and its answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.experiments.bayesian import normal_posterior
from ml.experiments.clusters import clustered_difference
from ml.experiments.cuped import cuped_ratios
from ml.experiments.means import moments_from_data, welch_t_test
from ml.experiments.mixtures import confidence_sequence
from ml.experiments.proportions import compare_proportions
from ml.experiments.quantiles import compare_quantiles, quantile_estimate
from ml.experiments.results import Interval
from ml.experiments.strata import StratifiedEffect, clustered_stratified_difference
from ml.experiments.validation import FloatArray


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One comparison of a treatment with control.

    Attributes:
        metric: column, with the quantile or adjustment in brackets.
        arm: the treatment.
        control_value: mean, share or quantile of control.
        treatment_value: the same of the treatment.
        difference: treatment minus control, by the method named.
        interval: of the difference at one planned look.
        anytime_interval: of the difference, valid at all looks.
        p_value: two-sided.
        adjusted_p_value: by Holm over all findings of the report.
        chance_to_win: Bayesian view with a flat prior; not for stopping.
        method: by name.
        note: small counts, left-out rows.
    """

    metric: str
    arm: str
    control_value: float
    treatment_value: float
    difference: float
    interval: Interval
    anytime_interval: Interval
    p_value: float
    adjusted_p_value: float
    chance_to_win: float
    method: str
    note: str = ""


def adjusted(
    metric: str,
    arm: str,
    x: FloatArray,
    y: FloatArray,
    treated: FloatArray,
    users: FloatArray | None,
    alpha: float,
    note: str,
) -> Finding:
    """Adjust by the covariate; with several rows per user, users are the units (sums over rows)."""
    known = np.isfinite(x)
    x, y, treated = x[known], y[known], treated[known]
    index = np.arange(y.size) if users is None else np.unique(users[known], return_inverse=True)[1]
    rows = np.bincount(index).astype(np.float64)
    # A user has one arm, so that the largest value of the flag is the flag.
    arm_of_user = np.zeros(rows.size)
    np.maximum.at(arm_of_user, index, treated)
    before, after = np.bincount(index, weights=x), np.bincount(index, weights=y)
    c, t = arm_of_user == 0, arm_of_user == 1
    result = cuped_ratios(
        (before[c], rows[c]), (after[c], rows[c]), (before[t], rows[t]), (after[t], rows[t]), alpha=alpha
    )
    return _finding(
        f"{metric} [CUPED]",
        arm,
        y[treated == 0].mean(),
        y[treated == 1].mean(),
        result.difference,
        result.standard_error,
        result.interval,
        result.p_value,
        int(rows.size),
        alpha,
        f"CUPED, variance {100 * result.variance_reduction:.0f} % smaller",
        note,
    )


def average(
    metric: str,
    arm: str,
    c: FloatArray,
    t: FloatArray,
    y: FloatArray,
    treated: FloatArray,
    users: FloatArray | None,
    epochs: FloatArray | None,
    alpha: float,
    note: str,
) -> Finding:
    """Pick the method that fits the file: stratified, clustered, proportions or means."""
    if epochs is not None:
        unit = np.arange(y.size, dtype=np.float64) if users is None else users
        effect: StratifiedEffect = clustered_stratified_difference(y, treated, epochs, unit, alpha=alpha)
        parts = (effect.difference, effect.standard_error, effect.interval, effect.p_value)
        method = "Mantel-Haenszel over epochs" + (", clustered by user" if users is not None else "")
    elif users is not None:
        clustered = clustered_difference(y, treated, users, alpha=alpha)
        parts = (clustered.difference, clustered.standard_error, clustered.interval, clustered.p_value)
        method = f"difference of means, clustered by user (errors {clustered.design_effect:.2f} x)"
    elif yes_no(y):
        test = compare_proportions(c.sum(), c.size, t.sum(), t.size, alpha=alpha)
        parts = (test.estimate, test.standard_error, test.interval, test.p_value)
        method, note = test.method, "; ".join(part for part in (note, test.note) if part)
    else:
        welch = welch_t_test(moments_from_data(c), moments_from_data(t), alpha=alpha)
        parts = (welch.estimate, welch.standard_error, welch.interval, welch.p_value)
        method = welch.method
    return _finding(metric, arm, c.mean(), t.mean(), *parts, y.size, alpha, method, note)


def quantile(
    metric: str,
    arm: str,
    level: float,
    c: FloatArray,
    t: FloatArray,
    treated: FloatArray,
    users: FloatArray | None,
    alpha: float,
    note: str,
) -> Finding:
    """Compare a quantile of both arms, clustered by user where users are known."""
    control = quantile_estimate(c, level, cluster=None if users is None else users[treated == 0], alpha=alpha)
    treatment = quantile_estimate(t, level, cluster=None if users is None else users[treated == 1], alpha=alpha)
    test = compare_quantiles(control, treatment, alpha=alpha)
    return _finding(
        f"{metric} [P{100 * level:g}]",
        arm,
        control.value,
        treatment.value,
        test.estimate,
        test.standard_error,
        test.interval,
        test.p_value,
        c.size + t.size,
        alpha,
        test.method,
        note,
    )


def _finding(
    metric: str,
    arm: str,
    control_value: float,
    treatment_value: float,
    difference: float,
    error: float,
    interval: Interval,
    p_value: float,
    n: int,
    alpha: float,
    method: str,
    note: str,
) -> Finding:
    anytime = confidence_sequence(difference, error, n, tuned_for=float(n), alpha=alpha)
    return Finding(
        metric=metric,
        arm=arm,
        control_value=float(control_value),
        treatment_value=float(treatment_value),
        difference=difference,
        interval=interval,
        anytime_interval=anytime.interval,
        p_value=p_value,
        adjusted_p_value=1.0,
        chance_to_win=normal_posterior(difference, error).chance_to_win,
        method=method,
        note=note,
    )


def yes_no(values: FloatArray) -> bool:
    """Tell whether a metric holds zeros and ones only."""
    return bool(np.all((values == 0.0) | (values == 1.0)))
