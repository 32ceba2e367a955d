"""Quantiles such as P95 at a fixed horizon: point, exact interval, and comparison of two arms.

The variance of a quantile needs the density at it, which is never estimated here: intervals come from order
statistics, and their width gives the standard error (Deng, Knoblich and Lu 2018). Clustered versions widen
them by the design effect of "below the quantile or not" over users.

Convention: definition 7 of Hyndman and Fan (numpy, R and Excel) unless asked for definition 6 (Minitab, SPSS).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy import special, stats

from ml.experiments import validation as check
from ml.experiments.distributions import critical_value, symmetric_interval, tail_p_value
from ml.experiments.ratio import ratio_sums
from ml.experiments.results import Comparison, Interval


class RankInterval(NamedTuple):
    """Ranks (counted from 1) of the order statistics that bound a quantile, and their exact coverage."""

    lower_rank: int
    upper_rank: int
    coverage: float


@dataclass(frozen=True)
class QuantileEstimate:
    """A quantile of one arm with an interval; n counts rows, or users where clustered."""

    value: float
    interval: Interval
    standard_error: float
    n: int


def sample_quantile(values: check.Numbers, quantile: float, *, definition: Literal[6, 7] = 7) -> float:
    """Return a sample quantile by linear interpolation at (n - 1) p + 1 (7) or (n + 1) p (6).

    Raises:
        ValueError: no values, or quantile outside (0, 1).

    Source: Hyndman and Fan 1996; NIST handbook 7.2.6.2.
    """
    array = check.vector("values", values)
    p = check.probability("quantile", quantile)
    if definition not in (6, 7):
        raise ValueError(f"definition={definition}: allowed are 6 and 7")
    return float(np.quantile(array, p, method="linear" if definition == 7 else "weibull"))


def quantile_rank_interval(n: float, quantile: float, *, alpha: float = 0.05) -> RankInterval:
    """Return the order statistics that cover a quantile with probability >= 1 - alpha, for any distribution.

    Lower rank is the alpha/2 point of Binomial(n, quantile), upper rank its 1 - alpha/2 point plus 1.

    Raises:
        ValueError: an argument is out of range, or n is too small for both ranks to exist.

    Source: Conover, Practical Nonparametric Statistics, section 3.2.
    """
    size = check.whole("n", n, minimum=1)
    p = check.probability("quantile", quantile)
    check.probability("alpha", alpha)
    lower = int(stats.binom.ppf(alpha / 2, size, p))
    upper = int(stats.binom.ppf(1 - alpha / 2, size, p)) + 1
    if lower < 1 or upper > size:
        raise ValueError(
            f"n={size}: allowed are samples large enough to hold both ends of the interval of quantile {p} "
            f"(ranks {lower} and {upper})"
        )
    coverage = float(special.bdtr(upper - 1, size, p) - special.bdtr(lower - 1, size, p))
    return RankInterval(lower, upper, coverage)


def outer_quantile_indices(
    n: float, quantile: float, *, alpha: float = 0.05, variance_inflation: float = 1.0
) -> Interval:
    """Return the (fractional) ranks n (p -+ z sqrt(p (1 - p) d / n)) around a quantile.

    Args:
        n: rows.
        quantile: p.
        alpha: one minus the level.
        variance_inflation: d, the design effect of clustering (1 for independent rows).

    Raises:
        ValueError: an argument is out of range.

    Source: Deng, Knoblich and Lu 2018, section 4.
    """
    size = check.whole("n", n, minimum=1)
    p = check.probability("quantile", quantile)
    z = critical_value(check.probability("alpha", alpha))
    inflation = check.positive("variance_inflation", variance_inflation)
    reach = z * math.sqrt(p * (1 - p) * inflation / size)
    return Interval(size * (p - reach), size * (p + reach))


def quantile_estimate(
    values: check.Numbers,
    quantile: float,
    *,
    cluster: check.Numbers | None = None,
    alpha: float = 0.05,
) -> QuantileEstimate:
    """Estimate a quantile of one arm with an interval and a standard error.

    Args:
        values: one number per row (request).
        quantile: 0.95 for P95.
        cluster: the user of each row; None when rows are independent.
        alpha: one minus the level of the interval.

    Raises:
        ValueError: an argument is out of range or the sample is too small to bound the quantile.

    Source: Deng, Knoblich and Lu 2018, section 4 (outer interval with the variance of the indicator).
    """
    array = check.vector("values", values, minimum_size=2)
    p = check.probability("quantile", quantile)
    value = sample_quantile(array, p)
    inflation, units = 1.0, int(array.size)
    if cluster is not None:
        inflation, units = _cluster_inflation(array, value, check.vector("cluster", cluster))
    ranks = outer_quantile_indices(array.size, p, alpha=alpha, variance_inflation=inflation)
    low_rank, high_rank = math.floor(ranks.low), math.ceil(ranks.high) + 1
    if low_rank < 1 or high_rank > array.size:
        raise ValueError(
            f"values has {array.size} rows: allowed are enough to bound quantile {p}, "
            f"which needs ranks {low_rank} to {high_rank}"
        )
    low, high = np.partition(array, [low_rank - 1, high_rank - 1])[[low_rank - 1, high_rank - 1]]
    error = float(high - low) / (2 * critical_value(alpha))
    return QuantileEstimate(value, Interval(min(float(low), value), max(float(high), value)), error, units)


def compare_quantiles(control: QuantileEstimate, treatment: QuantileEstimate, *, alpha: float = 0.05) -> Comparison:
    """Compare a quantile of two arms by a normal interval of the difference.

    Raises:
        ValueError: alpha out of range, or both standard errors are zero (all values tied at the quantile).

    Source: Deng, Knoblich and Lu 2018, section 4.
    """
    check.probability("alpha", alpha)
    error = math.hypot(control.standard_error, treatment.standard_error)
    return _normal_difference(treatment.value - control.value, error, alpha)


def compare_quantile_intervals(
    control: QuantileEstimate, treatment: QuantileEstimate, *, interval_alpha: float = 0.05, alpha: float = 0.05
) -> Comparison:
    """Compare two quantiles of which only value, interval and n are known.

    The variance of each arm is (n - 1) / n ((upper - lower) / (2 z))^2, with z of `interval_alpha`; the
    `standard_error` of the estimates is not used.

    Raises:
        ValueError: an argument is out of range or both intervals have no width.

    Source: GrowthBook's quantile test (flat prior).
    """
    z = critical_value(check.probability("interval_alpha", interval_alpha))
    check.probability("alpha", alpha)
    variance = 0.0
    for name, arm in (("control", control), ("treatment", treatment)):
        n = check.whole(f"{name}.n", arm.n, minimum=2)
        width = check.finite(f"{name}.interval width", arm.interval.high - arm.interval.low, minimum=0.0)
        variance += (n - 1) / n * (width / (2 * z)) ** 2
    return _normal_difference(treatment.value - control.value, math.sqrt(variance), alpha)


def _normal_difference(difference: float, error: float, alpha: float) -> Comparison:
    if error == 0.0:
        raise ValueError("control, treatment: both standard errors are zero; allowed is one above 0")
    return Comparison(
        estimate=difference,
        standard_error=error,
        statistic=difference / error,
        p_value=tail_p_value(difference / error),
        interval=symmetric_interval(difference, error, alpha),
        method="quantile difference, order statistics",
    )


def _cluster_inflation(array: check.FloatArray, value: float, cluster: check.FloatArray) -> tuple[float, int]:
    """Return the variance of the clustered share of rows at or below value over the binomial one, and users."""
    check.same_size("values", array, "cluster", cluster)
    _, index = np.unique(cluster, return_inverse=True)
    below = np.bincount(index, weights=(array <= value).astype(np.float64))
    rows = np.bincount(index).astype(np.float64)
    if rows.size < 2:
        raise ValueError("cluster holds one single user: allowed are at least 2")
    sums = ratio_sums(below, rows)
    independent = sums.ratio * (1 - sums.ratio) / array.size
    if independent == 0.0:
        return 1.0, int(rows.size)
    return max(sums.variance_of_ratio / independent, 1.0 / array.size), int(rows.size)
