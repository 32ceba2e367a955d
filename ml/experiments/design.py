"""Planning: sample size, power and smallest detectable effect for proportions and means.

Conventions where tools differ: `null_variance="pooled"` takes the mean of both rates under the null (R's
power.prop.test, Stata, statsmodels), `"baseline"` the control's rate (Evan Miller's calculator), `"unpooled"`
the variance of the alternative throughout. Two-sided power counts the tail on the side of the effect only.
Sizes are returned unrounded, per arm; round up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from scipy import optimize, special

from ml.experiments import validation as check
from ml.experiments.distributions import critical_value, normal_cdf, normal_quantile, student_quantile
from ml.experiments.results import ALTERNATIVES, Alternative

NullVariance = Literal["pooled", "baseline", "unpooled"]
Tails = Literal["both", "effect"]
_NULL_VARIANCES: tuple[NullVariance, ...] = ("pooled", "baseline", "unpooled")


def _deviations(p1: float, p2: float, ratio: float, null_variance: NullVariance) -> tuple[float, float]:
    """Standard deviations of sqrt(n1) times the difference under the null and the alternative."""
    alternative = math.sqrt(p1 * (1 - p1) + p2 * (1 - p2) / ratio)
    if null_variance == "unpooled":
        return alternative, alternative
    p = p1 if null_variance == "baseline" else (p1 + ratio * p2) / (1 + ratio)
    return math.sqrt(p * (1 - p) * (1 + 1 / ratio)), alternative


def proportion_sample_size(
    p_control: float,
    p_treatment: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    alternative: Alternative = "two-sided",
    null_variance: NullVariance = "pooled",
    ratio: float = 1.0,
) -> float:
    """Return the size of the control arm that gives the power to tell two proportions apart.

    Args:
        p_control: expected rate of control, strictly between 0 and 1.
        p_treatment: expected rate of treatment, different from p_control.
        alpha: level of the test.
        power: chance to find the difference, above alpha.
        alternative: two-sided or one-sided (the side is that of the effect).
        null_variance: see the module.
        ratio: treatment size over control size.

    Raises:
        ValueError: an argument is out of range or the rates are equal.

    Source: Fleiss 1981; R power.prop.test; Evan Miller for "baseline".
    """
    p1, p2 = check.probability("p_control", p_control), check.share("p_treatment", p_treatment)
    check.probability("alpha", alpha)
    check.finite("power", power, above=alpha, below=1.0)
    check.positive("ratio", ratio)
    check.choice("alternative", alternative, ALTERNATIVES)
    check.choice("null_variance", null_variance, _NULL_VARIANCES)
    if p1 == p2:
        raise ValueError(f"p_treatment={p2}: allowed is a rate other than p_control={p1}")
    null, alternative_deviation = _deviations(p1, p2, ratio, null_variance)
    z = critical_value(alpha, alternative) * null + normal_quantile(power) * alternative_deviation
    return (z / (p2 - p1)) ** 2


def proportion_power(
    p_control: float,
    p_treatment: float,
    n_control: float,
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null_variance: NullVariance = "pooled",
    ratio: float = 1.0,
) -> float:
    """Return the chance to find the difference of two proportions with n_control units in control.

    Raises:
        ValueError: an argument is out of range.

    Source: as `proportion_sample_size`.
    """
    p1, p2 = check.probability("p_control", p_control), check.share("p_treatment", p_treatment)
    n = check.positive("n_control", n_control)
    check.probability("alpha", alpha)
    check.positive("ratio", ratio)
    check.choice("alternative", alternative, ALTERNATIVES)
    check.choice("null_variance", null_variance, _NULL_VARIANCES)
    null, alternative_deviation = _deviations(p1, p2, ratio, null_variance)
    z = (abs(p2 - p1) * math.sqrt(n) - critical_value(alpha, alternative) * null) / alternative_deviation
    return normal_cdf(z)


def proportion_minimum_detectable_effect(
    baseline: float,
    n_per_arm: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    alternative: Alternative = "two-sided",
    null_variance: NullVariance = "baseline",
    direction: Literal["increase", "decrease"] = "increase",
) -> float:
    """Return the smallest absolute change of a proportion that n_per_arm units find with the power.

    Raises:
        ValueError: an argument is out of range, or no change inside [0, 1] is large enough.

    Source: Evan Miller's formula, inverted.
    """
    p = check.probability("baseline", baseline)
    n = check.positive("n_per_arm", n_per_arm)
    check.choice("direction", direction, ("increase", "decrease"))
    sign = 1.0 if direction == "increase" else -1.0
    room = 1.0 - p if sign > 0 else p

    def excess(effect: float) -> float:
        size = proportion_sample_size(
            p, p + sign * effect, alpha=alpha, power=power, alternative=alternative, null_variance=null_variance
        )
        return math.log(size / n)

    widest = room * (1.0 - 1e-9)
    if excess(widest) > 0:
        raise ValueError(
            f"n_per_arm={n}: allowed are at least {math.ceil(n * math.exp(excess(widest)))} per arm; "
            f"no {direction} from {p} is large enough for power {power}"
        )
    return _root(excess, room * 1e-9, widest)


def mean_sample_size(
    effect: float,
    standard_deviation: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    alternative: Alternative = "two-sided",
    method: Literal["t", "normal"] = "t",
    tails: Tails = "both",
) -> float:
    """Return the size per arm that gives the power to find a difference of two means.

    Args:
        effect: difference of the means, other than zero.
        standard_deviation: of a single unit, equal in both arms.
        alpha: level of the test.
        power: chance to find the effect, above alpha.
        alternative: two-sided or one-sided.
        method: noncentral t (R pwr.t.test) or the normal approximation.
        tails: whether a two-sided rejection on the wrong side counts as power: "both" as in R's pwr and
            statsmodels, "effect" as in rpact and R's power.t.test.

    Raises:
        ValueError: an argument is out of range or the effect is zero.

    Source: Cohen 1988; R pwr.t.test; rpact getSampleSizeMeans.
    """
    d = abs(check.finite("effect", effect)) / check.positive("standard_deviation", standard_deviation)
    if d == 0.0:
        raise ValueError("effect=0.0: allowed is an effect other than 0")
    check.probability("alpha", alpha)
    check.finite("power", power, above=alpha, below=1.0)
    check.choice("alternative", alternative, ALTERNATIVES)
    check.choice("method", method, ("t", "normal"))
    normal = 2 * ((critical_value(alpha, alternative) + normal_quantile(power)) / d) ** 2
    if method == "normal":
        return normal

    def missing(n: float) -> float:
        return mean_power(d, 1.0, n, n, alpha=alpha, alternative=alternative, tails=tails) - power

    # Two units per arm are the least that allow an estimate of the variance.
    return 2.0 if missing(2.0) >= 0 else _root(missing, 2.0, 2 * normal + 20)


def mean_power(
    effect: float,
    standard_deviation: float,
    n_control: float,
    n_treatment: float,
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    tails: Tails = "both",
) -> float:
    """Return the power of the pooled t test for a difference of two means, by the noncentral t.

    For "greater" and "less" the sign of the effect matters; for `tails` see `mean_sample_size`.

    Raises:
        ValueError: an argument is out of range or fewer than three units in all.

    Source: Cohen 1988; R pwr.t2n.test.
    """
    d = check.finite("effect", effect) / check.positive("standard_deviation", standard_deviation)
    n1, n2 = check.positive("n_control", n_control), check.positive("n_treatment", n_treatment)
    df = n1 + n2 - 2
    if df <= 0:
        raise ValueError(f"n_control={n1}, n_treatment={n2}: allowed are more than 2 units in all")
    check.probability("alpha", alpha)
    check.choice("alternative", alternative, ALTERNATIVES)
    check.choice("tails", tails, ("both", "effect"))
    shift = d * math.sqrt(n1 * n2 / (n1 + n2))
    if alternative == "less":
        shift = -shift
    if alternative != "two-sided":
        return _noncentral_t_tail(student_quantile(1 - alpha, df), df, shift)
    t = student_quantile(1 - alpha / 2, df)
    if tails == "effect":
        return _noncentral_t_tail(t, df, abs(shift))
    return min(1.0, _noncentral_t_tail(t, df, shift) + _noncentral_t_tail(t, df, -shift))


def mean_minimum_detectable_effect(
    standard_deviation: float,
    n_per_arm: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    alternative: Alternative = "two-sided",
) -> float:
    """Return the smallest difference of means that n_per_arm units find with the power (normal approximation).

    Raises:
        ValueError: an argument is out of range.
    """
    sd, n = check.positive("standard_deviation", standard_deviation), check.positive("n_per_arm", n_per_arm)
    check.probability("alpha", alpha)
    check.finite("power", power, above=alpha, below=1.0)
    check.choice("alternative", alternative, ALTERNATIVES)
    return (critical_value(alpha, alternative) + normal_quantile(power)) * sd * math.sqrt(2.0 / n)


def _noncentral_t_tail(t: float, df: float, shift: float) -> float:
    """P(T > t) for a noncentral t; the normal limit where the series fails (very large df or shift)."""
    below = float(special.nctdtr(df, shift, t))
    if math.isfinite(below) and df < 1e6:
        return min(1.0, max(0.0, 1.0 - below))
    # Abramowitz and Stegun 26.7.10.
    return normal_cdf((shift - t * (1 - 1 / (4 * df))) / math.sqrt(1 + t * t / (2 * df)))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(optimize.brentq(function, low, high, xtol=1e-12 * max(1.0, high), rtol=1e-12))
