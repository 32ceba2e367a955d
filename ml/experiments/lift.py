"""Relative lift (treatment - control) / control, by the delta method, by Fieller and on the log scale.

The delta method is symmetric and can be far off when the control mean is within a few standard errors of
zero; Fieller's interval is exact for normal means and says so when no finite interval exists.
"""

from __future__ import annotations

import math

from ml.experiments import validation as check
from ml.experiments.distributions import critical_value, symmetric_interval, tail_p_value
from ml.experiments.means import Moments, welch_degrees_of_freedom
from ml.experiments.results import ALTERNATIVES, Alternative, Comparison, Interval


def lift_standard_error(
    control_mean: float, control_variance_of_mean: float, treatment_mean: float, treatment_variance_of_mean: float
) -> float:
    """Delta-method standard error of the lift: sqrt(v_t / m_c^2 + v_c m_t^2 / m_c^4)."""
    m_c = check.finite("control_mean", control_mean)
    if m_c == 0.0:
        raise ValueError("control_mean=0.0: allowed is a mean other than 0 (a lift divides by it)")
    ratio = check.finite("treatment_mean", treatment_mean) / m_c
    v_c = check.finite("control_variance_of_mean", control_variance_of_mean, minimum=0.0)
    v_t = check.finite("treatment_variance_of_mean", treatment_variance_of_mean, minimum=0.0)
    return math.sqrt(v_t + v_c * ratio * ratio) / abs(m_c)


def relative_lift(
    control_mean: float,
    control_variance_of_mean: float,
    treatment_mean: float,
    treatment_variance_of_mean: float,
    *,
    degrees_of_freedom: float | None = None,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
) -> Comparison:
    """Estimate the relative lift by the delta method.

    Args:
        control_mean: must not be zero.
        control_variance_of_mean: squared standard error of control_mean.
        treatment_mean: mean of treatment.
        treatment_variance_of_mean: squared standard error of treatment_mean.
        degrees_of_freedom: of Student's t; None uses the normal.
        alternative: "greater" means a lift above zero (for a positive control mean).
        alpha: one minus the level of the interval.

    Raises:
        ValueError: an argument is out of range, control_mean is zero or both variances are.

    Source: Deng, Knoblich and Lu 2018, arXiv 1803.06336.
    """
    error = lift_standard_error(control_mean, control_variance_of_mean, treatment_mean, treatment_variance_of_mean)
    check.choice("alternative", alternative, ALTERNATIVES)
    check.probability("alpha", alpha)
    if degrees_of_freedom is not None:
        check.positive("degrees_of_freedom", degrees_of_freedom)
    if error == 0.0:
        raise ValueError("control_variance_of_mean=0.0, treatment_variance_of_mean=0.0: allowed is one above 0")
    lift = (treatment_mean - control_mean) / control_mean
    statistic = lift / error
    return Comparison(
        estimate=lift,
        standard_error=error,
        statistic=statistic,
        p_value=tail_p_value(statistic, alternative, degrees_of_freedom),
        interval=symmetric_interval(lift, error, alpha, alternative, degrees_of_freedom),
        method="relative lift, delta method",
        degrees_of_freedom=degrees_of_freedom,
    )


def relative_lift_of_means(
    control: Moments, treatment: Moments, *, alternative: Alternative = "two-sided", alpha: float = 0.05
) -> Comparison:
    """Relative lift by the delta method with the Welch degrees of freedom of the two means."""
    if control.variance_of_mean + treatment.variance_of_mean == 0.0:
        raise ValueError("control.variance=0.0, treatment.variance=0.0: allowed is one above 0")
    return relative_lift(
        control.mean,
        control.variance_of_mean,
        treatment.mean,
        treatment.variance_of_mean,
        degrees_of_freedom=welch_degrees_of_freedom(control, treatment),
        alternative=alternative,
        alpha=alpha,
    )


def fieller_interval(
    control_mean: float,
    control_variance_of_mean: float,
    treatment_mean: float,
    treatment_variance_of_mean: float,
    *,
    alpha: float = 0.05,
) -> Interval:
    """Fieller's interval of the relative lift of independent arms, normal quantile.

    Raises:
        ValueError: an argument is out of range, or control_mean is not significantly different from zero at
            level alpha, in which case the set of plausible lifts is unbounded.

    Source: Fieller 1954.
    """
    lift_standard_error(control_mean, control_variance_of_mean, treatment_mean, treatment_variance_of_mean)
    z = critical_value(check.probability("alpha", alpha))
    g = z * z * control_variance_of_mean / control_mean**2
    if g >= 1.0:
        raise ValueError(
            f"control_mean={control_mean}: allowed is a mean further than {z:.3g} standard errors "
            f"({math.sqrt(control_variance_of_mean):.3g}) from 0; Fieller's set is unbounded"
        )
    ratio = treatment_mean / control_mean
    inner = treatment_variance_of_mean * (1 - g) + ratio * ratio * control_variance_of_mean
    reach = z / abs(control_mean) * math.sqrt(inner)
    return Interval((ratio - reach) / (1 - g) - 1.0, (ratio + reach) / (1 - g) - 1.0)


def log_ratio_interval(
    control_mean: float,
    control_variance_of_mean: float,
    treatment_mean: float,
    treatment_variance_of_mean: float,
    *,
    alpha: float = 0.05,
) -> Interval:
    """Interval of the lift from the delta method on ln(treatment / control); never below -1.

    Raises:
        ValueError: a mean is not positive, or another argument is out of range.

    Source: Katz et al. 1978, for means of any kind.
    """
    m_c, m_t = check.positive("control_mean", control_mean), check.positive("treatment_mean", treatment_mean)
    v_c = check.finite("control_variance_of_mean", control_variance_of_mean, minimum=0.0)
    v_t = check.finite("treatment_variance_of_mean", treatment_variance_of_mean, minimum=0.0)
    z = critical_value(check.probability("alpha", alpha))
    reach = z * math.sqrt(v_c / m_c**2 + v_t / m_t**2)
    return Interval(m_t / m_c * math.exp(-reach) - 1.0, m_t / m_c * math.exp(reach) - 1.0)
