"""CUPED: use what was known of each user before the experiment to shrink the variance.

The adjusted metric is y - theta * (x - mean of x) with one theta for both arms. It estimates the same effect
as the raw difference, because x was measured before assignment; never use a covariate that the treatment
can change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ml.experiments import validation as check
from ml.experiments.distributions import symmetric_interval, tail_p_value
from ml.experiments.results import Interval


@dataclass(frozen=True)
class CupedResult:
    """The adjusted comparison next to the raw one.

    Attributes:
        theta: coefficient of the covariate, pooled over both arms.
        raw_difference: treatment minus control without adjustment.
        raw_standard_error: its standard error.
        difference: adjusted treatment minus control.
        standard_error: its standard error.
        variance_reduction: 1 - adjusted variance / raw variance of the difference.
        p_value: two-sided, of the adjusted difference.
        interval: of the adjusted difference.
    """

    theta: float
    raw_difference: float
    raw_standard_error: float
    difference: float
    standard_error: float
    variance_reduction: float
    p_value: float
    interval: Interval


def cuped_theta(
    control_before: check.Numbers,
    control_after: check.Numbers,
    treatment_before: check.Numbers,
    treatment_after: check.Numbers,
) -> float:
    """Return theta = cov(after, before) / var(before) over the users of both arms together.

    Pooling the users (not the arms' own moments) is the convention of Deng et al. and GrowthBook; the estimate
    of the effect is unbiased for any theta.

    Raises:
        ValueError: lengths differ, an arm has fewer than two users, or the covariate never varies.

    Source: Deng, Xu, Kohavi and Walker 2013.
    """
    x_c, y_c = _pair("control_before", control_before, "control_after", control_after)
    x_t, y_t = _pair("treatment_before", treatment_before, "treatment_after", treatment_after)
    x, y = np.concatenate([x_c, x_t]), np.concatenate([y_c, y_t])
    dx = x - x.mean()
    variance = float(dx @ dx)
    if variance == 0.0:
        raise ValueError("control_before, treatment_before: the covariate never varies; allowed are values that do")
    return float(dx @ (y - y.mean())) / variance


def cuped_means(
    control_before: check.Numbers,
    control_after: check.Numbers,
    treatment_before: check.Numbers,
    treatment_after: check.Numbers,
    *,
    alpha: float = 0.05,
) -> CupedResult:
    """Compare two means after adjusting for a pre-experiment covariate.

    Args:
        control_before: covariate of each control user.
        control_after: outcome of each control user, in the same order.
        treatment_before: covariate of each treatment user.
        treatment_after: outcome of each treatment user, in the same order.
        alpha: one minus the level of the interval (normal).

    Raises:
        ValueError: as `cuped_theta`, or the adjusted outcomes do not vary at all.

    Source: Deng, Xu, Kohavi and Walker 2013.
    """
    theta = cuped_theta(control_before, control_after, treatment_before, treatment_after)
    x_c, y_c = _pair("control_before", control_before, "control_after", control_after)
    x_t, y_t = _pair("treatment_before", treatment_before, "treatment_after", treatment_after)
    return _compare(theta, x_c, y_c, x_t, y_t, alpha)


def cuped_ratios(
    control_before: tuple[check.Numbers, check.Numbers],
    control_after: tuple[check.Numbers, check.Numbers],
    treatment_before: tuple[check.Numbers, check.Numbers],
    treatment_after: tuple[check.Numbers, check.Numbers],
    *,
    alpha: float = 0.05,
) -> CupedResult:
    """Compare two ratio metrics after adjusting for the same ratio measured before the experiment.

    Each argument is (numerators, denominators) per user. Both periods are first linearised by the delta
    method, ratio + (numerator - ratio * denominator) / mean denominator, then treated as means; one common
    covariate ratio (over both arms) keeps the adjustment identical for both arms.

    Raises:
        ValueError: as `cuped_means`, or a mean denominator is zero.

    Source: Deng, Knoblich and Lu 2018, section 3.3, with Deng et al. 2013.
    """
    y_c = _linearised("control_after", *control_after)
    y_t = _linearised("treatment_after", *treatment_after)
    pooled_numerator = np.concatenate([np.asarray(control_before[0]), np.asarray(treatment_before[0])])
    pooled_denominator = np.concatenate([np.asarray(control_before[1]), np.asarray(treatment_before[1])])
    pooled = _linearised("control_before, treatment_before", pooled_numerator, pooled_denominator)
    x_c, x_t = pooled[: y_c.size], pooled[y_c.size :]
    theta = cuped_theta(x_c, y_c, x_t, y_t)
    return _compare(theta, x_c, y_c, x_t, y_t, alpha)


def cuped_variance_factor(correlation: float) -> float:
    """Return the factor 1 - correlation^2 by which CUPED shrinks the variance and the sample size.

    Raises:
        ValueError: correlation outside (-1, 1).

    Source: Deng, Xu, Kohavi and Walker 2013, equation 6.
    """
    rho = check.finite("correlation", correlation, above=-1.0, below=1.0)
    return 1.0 - rho * rho


def cuped_sample_size(n_without: float, correlation: float) -> float:
    """Return the sample size with CUPED that has the power of n_without units without it."""
    return check.positive("n_without", n_without) * cuped_variance_factor(correlation)


def _pair(
    before_name: str, before: check.Numbers, after_name: str, after: check.Numbers
) -> tuple[check.FloatArray, check.FloatArray]:
    x = check.vector(before_name, before, minimum_size=2)
    y = check.vector(after_name, after, minimum_size=2)
    check.same_size(before_name, x, after_name, y)
    return x, y


def _linearised(name: str, numerator: check.Numbers, denominator: check.Numbers) -> check.FloatArray:
    y, m = _pair(f"{name} denominator", denominator, f"{name} numerator", numerator)[::-1]
    if float(m.mean()) <= 0.0:
        raise ValueError(f"{name} denominator has mean {float(m.mean())}: allowed are numbers > 0")
    ratio = float(y.sum() / m.sum())
    return ratio + (y - ratio * m) / float(m.mean())


def _compare(
    theta: float,
    x_c: check.FloatArray,
    y_c: check.FloatArray,
    x_t: check.FloatArray,
    y_t: check.FloatArray,
    alpha: float,
) -> CupedResult:
    check.probability("alpha", alpha)
    z_c, z_t = y_c - theta * x_c, y_t - theta * x_t
    raw = math.sqrt(float(y_c.var(ddof=1)) / y_c.size + float(y_t.var(ddof=1)) / y_t.size)
    error = math.sqrt(float(z_c.var(ddof=1)) / z_c.size + float(z_t.var(ddof=1)) / z_t.size)
    if error == 0.0:
        raise ValueError("control_after, treatment_after: the adjusted variance is zero; allowed is one above 0")
    difference = float(z_t.mean() - z_c.mean())
    return CupedResult(
        theta=theta,
        raw_difference=float(y_t.mean() - y_c.mean()),
        raw_standard_error=raw,
        difference=difference,
        standard_error=error,
        variance_reduction=1.0 - (error / raw) ** 2,
        p_value=tail_p_value(difference / error),
        interval=symmetric_interval(difference, error, alpha),
    )
