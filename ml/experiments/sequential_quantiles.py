"""Quantiles looked at continuously, independent observations: exact at every sample size.

"The quantile is x" means that each observation lies at or below x with chance p, so that counts below x are
Bernoulli and the beta-binomial evidence of `bernoulli_sequences` applies for every x. Rows of one user that
resemble each other break this; use `exceedance` then.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, special

from ml.experiments import validation as check
from ml.experiments.bernoulli_sequences import beta_concentration
from ml.experiments.results import Interval


def _log_evidence(share: check.FloatArray, n: int, p: float, concentration: float) -> check.FloatArray:
    """Log evidence against "chance p" when a share of n observations came out below."""
    x = share * n
    a, b = p * concentration, (1.0 - p) * concentration
    start = float(special.betaln(a, b))
    return np.asarray(
        special.betaln(a + x, b + n - x) - start - x * math.log(p) - (n - x) * math.log1p(-p), dtype=np.float64
    )


def _least_refuting_share(n: int, p: float, concentration: float) -> float:
    """The share below at which the evidence is smallest (near p, not exactly at it)."""
    result = optimize.minimize_scalar(
        lambda share: float(_log_evidence(np.array([share]), n, p, concentration)[0]),
        bounds=(0.0, 1.0),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return float(result.x)


def _evidence_at(
    sorted_values: check.FloatArray, points: check.FloatArray, p: float, concentration: float
) -> check.FloatArray:
    """Evidence of one arm against "the quantile is x" for each x; ties may count on either side."""
    n = int(sorted_values.size)
    below = np.searchsorted(sorted_values, points, side="left") / n
    at_or_below = np.searchsorted(sorted_values, points, side="right") / n
    best = _least_refuting_share(n, p, concentration)
    return _log_evidence(np.clip(best, below, at_or_below), n, p, concentration)


def sequential_quantile_p_value(
    control: check.Numbers,
    treatment: check.Numbers,
    quantile: float,
    *,
    tuned_for: float,
    tuned_alpha: float = 0.05,
) -> float:
    """Return an always-valid p-value for "both arms have the same quantile".

    If they do, some x is the quantile of both, and the product of both arms' evidence against x is small with
    high probability at all times; the p-value is 1 over the smallest product over all x.

    Args:
        control: raw values so far.
        treatment: raw values so far.
        quantile: 0.95 for P95.
        tuned_for: observations per arm at which the test should be sharpest; fixed beforehand.
        tuned_alpha: level for which tuned_for is meant.

    Raises:
        ValueError: an argument is out of range.

    Source: Howard and Ramdas 2022, section 4 (A/B test for quantiles).
    """
    c, t = np.sort(check.vector("control", control)), np.sort(check.vector("treatment", treatment))
    p = check.probability("quantile", quantile)
    concentration = beta_concentration(
        check.positive("tuned_for", tuned_for), check.probability("tuned_alpha", tuned_alpha)
    )
    points = np.unique(np.concatenate([c, t]))
    # Between data points the evidence is constant; outside them it only grows.
    middles = 0.5 * (points[:-1] + points[1:])
    candidates = np.concatenate([points, middles])
    total = _evidence_at(c, candidates, p, concentration) + _evidence_at(t, candidates, p, concentration)
    return min(1.0, math.exp(-max(0.0, float(total.min()))))


def quantile_confidence_sequence(
    values: check.Numbers, quantile: float, *, tuned_for: float, alpha: float = 0.05
) -> Interval:
    """Return an interval of a quantile that holds at all times at once; an end is infinite while data are few.

    Raises:
        ValueError: an argument is out of range.

    Source: Howard and Ramdas 2022, theorem 1 with a beta-binomial mixture.
    """
    data = np.sort(check.vector("values", values))
    p = check.probability("quantile", quantile)
    level = check.probability("alpha", alpha)
    concentration = beta_concentration(check.positive("tuned_for", tuned_for), level)
    points = np.unique(data)
    accepted = _evidence_at(data, points, p, concentration) < -math.log(level)
    if not bool(accepted.any()):
        # The quantile lies between two neighbours: report the gap.
        share = np.searchsorted(data, points, side="right") / data.size
        right = min(int(np.searchsorted(share, p)), points.size - 1)
        return Interval(float(points[max(0, right - 1)]), float(points[right]))
    first, last = int(np.argmax(accepted)), int(points.size - 1 - np.argmax(accepted[::-1]))
    # The ends of the accepted set: the open gaps next to the first and last accepted point belong to it where
    # a share of exactly 0 or 1 below is not refuted.
    ends = _log_evidence(np.array([0.0, 1.0]), int(data.size), p, concentration)
    low = -math.inf if first == 0 and ends[0] < -math.log(level) else float(points[max(0, first - 1)])
    high = (
        math.inf
        if last == points.size - 1 and ends[1] < -math.log(level)
        else float(points[min(points.size - 1, last + 1)])
    )
    return Interval(low, high)
