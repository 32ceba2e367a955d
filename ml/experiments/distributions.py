"""Normal, Student and chi-square probabilities as plain floats, and the p-values and limits built from them.

Thin names over scipy.special, which is much faster than scipy.stats for single numbers.
"""

from __future__ import annotations

import math

from scipy import special

from ml.experiments.results import Alternative, Interval


def normal_cdf(x: float) -> float:
    """P(Z <= x) for a standard normal Z."""
    return float(special.ndtr(x))


def normal_density(x: float) -> float:
    """Density of the standard normal at x."""
    return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def normal_quantile(p: float) -> float:
    """The x with P(Z <= x) = p."""
    return float(special.ndtri(p))


def student_cdf(t: float, degrees_of_freedom: float) -> float:
    """P(T <= t) for Student's t."""
    return float(special.stdtr(degrees_of_freedom, t))


def student_quantile(p: float, degrees_of_freedom: float) -> float:
    """The t with P(T <= t) = p."""
    return float(special.stdtrit(degrees_of_freedom, p))


def chi_square_tail(x: float, degrees_of_freedom: float) -> float:
    """P(X > x) for a chi-square X."""
    return float(special.chdtrc(degrees_of_freedom, x))


def _cdf(statistic: float, degrees_of_freedom: float | None) -> float:
    if degrees_of_freedom is None:
        return normal_cdf(statistic)
    return student_cdf(statistic, degrees_of_freedom)


def tail_p_value(
    statistic: float, alternative: Alternative = "two-sided", degrees_of_freedom: float | None = None
) -> float:
    """P-value of a z statistic, or of a t statistic when degrees of freedom are given."""
    if alternative == "greater":
        return _cdf(-statistic, degrees_of_freedom)
    if alternative == "less":
        return _cdf(statistic, degrees_of_freedom)
    return min(1.0, 2.0 * _cdf(-abs(statistic), degrees_of_freedom))


def critical_value(
    alpha: float, alternative: Alternative = "two-sided", degrees_of_freedom: float | None = None
) -> float:
    """The positive z (or t) beyond which a test at level alpha rejects."""
    tail = alpha / 2.0 if alternative == "two-sided" else alpha
    if degrees_of_freedom is None:
        return -normal_quantile(tail)
    return -student_quantile(tail, degrees_of_freedom)


def symmetric_interval(
    estimate: float,
    standard_error: float,
    alpha: float,
    alternative: Alternative = "two-sided",
    degrees_of_freedom: float | None = None,
) -> Interval:
    """Estimate plus and minus the critical value; open to one side for a one-sided alternative."""
    reach = critical_value(alpha, alternative, degrees_of_freedom) * standard_error
    return Interval(
        -math.inf if alternative == "less" else estimate - reach,
        math.inf if alternative == "greater" else estimate + reach,
    )
