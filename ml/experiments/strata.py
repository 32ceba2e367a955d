"""Effects under a ramp: compare the arms inside each epoch of constant weights, then combine.

Pooling all users over a changing split mixes "when" with "which arm": with a baseline that drifts, the pooled
difference can have the wrong sign (Simpson's paradox; Crook et al. 2009). Stratified estimates cannot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.experiments import validation as check
from ml.experiments.distributions import chi_square_tail, symmetric_interval, tail_p_value
from ml.experiments.ratio import RatioSums
from ml.experiments.results import Interval


@dataclass(frozen=True)
class Stratum:
    """Both arms of one epoch."""

    control: RatioSums
    treatment: RatioSums


@dataclass(frozen=True)
class StratifiedEffect:
    """A difference combined over epochs.

    Attributes:
        difference: weighted mean of the epochs' differences.
        standard_error: of the difference.
        information_weight: sum of n_t n_c / (n_t + n_c) over the epochs used; half the sample per arm when
            arms are equal.
        stratum_differences: one per epoch used.
        p_value: two-sided.
        interval: of the difference.
        heterogeneity_p_value: small when epochs disagree more than chance (Cochran's Q); 1 with one epoch.
    """

    difference: float
    standard_error: float
    information_weight: float
    stratum_differences: tuple[float, ...]
    p_value: float
    interval: Interval
    heterogeneity_p_value: float


@dataclass(frozen=True)
class StratumSummary:
    """Differences, variances and Mantel-Haenszel weights of the epochs that can be used."""

    differences: check.FloatArray
    variances: check.FloatArray
    weights: check.FloatArray


def summarise(strata: Sequence[Stratum]) -> StratumSummary:
    """Return what each epoch says; epochs with fewer than two units in an arm are left out.

    Leaving out by size, never by outcome, keeps the estimate unbiased.
    """
    usable = [
        (s.control, s.treatment)
        for s in strata
        if min(s.control.n, s.treatment.n) >= 2 and min(s.control.denominator, s.treatment.denominator) > 0
    ]
    return StratumSummary(
        differences=np.array([t.ratio - c.ratio for c, t in usable]),
        variances=np.array([t.variance_of_ratio + c.variance_of_ratio for c, t in usable]),
        weights=np.array([t.n * c.n / (t.n + c.n) for c, t in usable]),
    )


def mantel_haenszel(strata: Sequence[Stratum], *, alpha: float = 0.05) -> StratifiedEffect:
    """Combine epochs with weights n_t n_c / (n_t + n_c), which do not depend on outcomes.

    Raises:
        ValueError: no epoch has two units in both arms, or the variance is zero.

    Source: Mantel and Haenszel 1959 (risk difference weights); Greenland and Robins 1985.
    """
    parts = summarise(strata)
    return _combine(parts, parts.weights, alpha)


def mantel_haenszel_proportions(
    control_successes: check.Numbers,
    control_n: check.Numbers,
    treatment_successes: check.Numbers,
    treatment_n: check.Numbers,
    *,
    alpha: float = 0.05,
) -> StratifiedEffect:
    """Combine the differences of proportions of epochs, one count per epoch and arm.

    The variance of each proportion is p (1 - p) / n, the textbook form for counts; `mantel_haenszel` divides by
    n - 1, as for means, which matters in epochs of a few units only.

    Raises:
        ValueError: lengths differ, counts out of range, no epoch has units in both arms, or zero variance.

    Source: Mantel and Haenszel 1959; Crook, Frasca, Kohavi and Longbotham 2009.
    """
    parts = _proportions(control_successes, control_n, treatment_successes, treatment_n)
    return _combine(parts, parts.weights, alpha)


def inverse_variance_proportions(
    control_successes: check.Numbers,
    control_n: check.Numbers,
    treatment_successes: check.Numbers,
    treatment_n: check.Numbers,
    *,
    alpha: float = 0.05,
) -> StratifiedEffect:
    """Combine the differences of proportions of epochs by 1 / variance, one count per epoch and arm.

    Raises:
        ValueError: as `mantel_haenszel_proportions`, or an epoch has zero variance.

    Source: Cochran 1954.
    """
    parts = _proportions(control_successes, control_n, treatment_successes, treatment_n)
    return _combine(parts, _inverse(parts), alpha)


def _proportions(
    control_successes: check.Numbers,
    control_n: check.Numbers,
    treatment_successes: check.Numbers,
    treatment_n: check.Numbers,
) -> StratumSummary:
    """Check the counts and return what each epoch with units in both arms says."""
    arms: list[tuple[check.FloatArray, check.FloatArray]] = []
    for arm, successes, trials in (
        ("control", control_successes, control_n),
        ("treatment", treatment_successes, treatment_n),
    ):
        x = check.count_vector(f"{arm}_successes", successes)
        n = check.count_vector(f"{arm}_n", trials)
        check.same_size(f"{arm}_successes", x, f"{arm}_n", n)
        if bool(np.any(x > n)):
            raise ValueError(f"{arm}_successes={x.tolist()}: allowed are counts up to {arm}_n={n.tolist()}")
        arms.append((x, n))
    (x_c, n_c), (x_t, n_t) = arms
    check.same_size("control_n", n_c, "treatment_n", n_t)
    live = (n_c > 0) & (n_t > 0)
    p_c, p_t = x_c[live] / n_c[live], x_t[live] / n_t[live]
    return StratumSummary(
        differences=p_t - p_c,
        variances=p_t * (1 - p_t) / n_t[live] + p_c * (1 - p_c) / n_c[live],
        weights=n_t[live] * n_c[live] / (n_t[live] + n_c[live]),
    )


def _inverse(parts: StratumSummary) -> check.FloatArray:
    if bool(np.any(parts.variances <= 0)):
        raise ValueError("strata: an epoch has zero variance; allowed are epochs with some variance")
    return 1.0 / parts.variances


def inverse_variance(strata: Sequence[Stratum], *, alpha: float = 0.05) -> StratifiedEffect:
    """Combine epochs with weights 1 / variance: smallest error, but biased when small epochs hold few events.

    Raises:
        ValueError: as `mantel_haenszel`, or an epoch has zero variance.

    Source: Cochran 1954.
    """
    parts = summarise(strata)
    return _combine(parts, _inverse(parts), alpha)


def clustered_stratified_difference(
    values: check.Numbers,
    treated: check.Numbers,
    stratum: check.Numbers,
    cluster: check.Numbers,
    *,
    alpha: float = 0.05,
) -> StratifiedEffect:
    """Combine epochs when the same user appears in several of them.

    Rows are weighted as by `mantel_haenszel`; the error sums each user's influence over all epochs, so that a
    user who returns counts as one user.

    Args:
        values: one number per row.
        treated: 0 or 1 per row.
        stratum: the epoch of each row, as a number.
        cluster: the user of each row, as a number.
        alpha: one minus the level of the interval.

    Raises:
        ValueError: lengths differ, treated holds other numbers, or no epoch has both arms.

    Source: Liang and Zeger 1986 applied to the weights of Mantel and Haenszel.
    """
    y = check.vector("values", values, minimum_size=3)
    d, e, g = (check.vector(n, v) for n, v in (("treated", treated), ("stratum", stratum), ("cluster", cluster)))
    for name, other in (("treated", d), ("stratum", e), ("cluster", g)):
        check.same_size("values", y, name, other)
    if not bool(np.all((d == 0) | (d == 1))):
        raise ValueError("treated: allowed are only 0 (control) and 1 (treatment)")
    _, user = np.unique(g, return_inverse=True)
    influence = np.zeros(int(user.max()) + 1)
    differences: list[float] = []
    weights: list[float] = []
    for label in np.unique(e):
        arms = [(e == label) & (d == arm) for arm in (0, 1)]
        n_c, n_t = int(arms[0].sum()), int(arms[1].sum())
        if min(n_c, n_t) < 2:
            continue
        weight = n_c * n_t / (n_c + n_t)
        differences.append(float(y[arms[1]].mean() - y[arms[0]].mean()))
        weights.append(weight)
        for sign, rows in zip((-1.0, 1.0), arms, strict=True):
            part = sign * weight * (y[rows] - y[rows].mean()) / int(rows.sum())
            influence += np.bincount(user[rows], weights=part, minlength=influence.size)
    w = np.array(weights)
    total = float(w.sum())
    variance = float(influence @ influence) / total**2 if total else 0.0
    return _effect(np.array(differences), w, variance, alpha, 1.0)


def _combine(parts: StratumSummary, weights: check.FloatArray, alpha: float) -> StratifiedEffect:
    total = float(weights.sum())
    variance = float(weights**2 @ parts.variances) / total**2 if total else 0.0
    heterogeneity = _heterogeneity(parts)
    effect = _effect(parts.differences, weights, variance, alpha, heterogeneity)
    return StratifiedEffect(
        effect.difference,
        effect.standard_error,
        float(parts.weights.sum()),
        effect.stratum_differences,
        effect.p_value,
        effect.interval,
        heterogeneity,
    )


def _effect(
    differences: check.FloatArray,
    weights: check.FloatArray,
    variance: float,
    alpha: float,
    heterogeneity: float,
) -> StratifiedEffect:
    check.probability("alpha", alpha)
    if differences.size == 0:
        raise ValueError("strata: allowed is at least one epoch with two units in both arms")
    if variance <= 0.0:
        raise ValueError("strata: the variance is zero; allowed are epochs with some variance")
    difference = float(weights @ differences) / float(weights.sum())
    error = math.sqrt(variance)
    return StratifiedEffect(
        difference=difference,
        standard_error=error,
        information_weight=float(weights.sum()),
        stratum_differences=tuple(float(value) for value in differences),
        p_value=tail_p_value(difference / error),
        interval=symmetric_interval(difference, error, alpha),
        heterogeneity_p_value=heterogeneity,
    )


def _heterogeneity(parts: StratumSummary) -> float:
    known = parts.variances > 0
    if int(known.sum()) < 2:
        return 1.0
    w = 1.0 / parts.variances[known]
    d = parts.differences[known]
    q = float(w @ (d - float(w @ d) / float(w.sum())) ** 2)
    return chi_square_tail(q, int(known.sum()) - 1)
