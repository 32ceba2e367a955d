"""Sample sizes for proving that treatment is not worse than control by more than a margin."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from ml.experiments import validation as check
from ml.experiments.distributions import critical_value, normal_quantile
from ml.experiments.noninferiority import Better


class NullRates(NamedTuple):
    """Most likely rates of (treatment, control) when their difference is held at the margin."""

    treatment: float
    control: float


def noninferiority_sample_size(
    p_control: float,
    p_treatment: float,
    *,
    margin: float,
    better: Better,
    alpha: float = 0.025,
    power: float = 0.8,
    method: Literal["unpooled", "farrington-manning"] = "unpooled",
) -> float:
    """Return the size per arm to prove non-inferiority of a proportion.

    Args:
        p_control: expected rate of control.
        p_treatment: expected rate of treatment; usually equal to p_control.
        margin: the harm that is still accepted, absolute, > 0.
        better: "lower" for an error rate, "higher" for accuracy.
        alpha: one-sided level.
        power: chance to prove it, above alpha.
        method: "unpooled" uses the variance at the expected rates throughout; "farrington-manning" the
            most likely rates on the margin for the null variance, as rpact and most regulators do.

    Raises:
        ValueError: an argument is out of range, or treatment is expected to be worse than the margin allows.

    Source: Blackwelder 1982; Farrington and Manning 1990.
    """
    p_c, p_t = check.probability("p_control", p_control), check.probability("p_treatment", p_treatment)
    check.finite("margin", margin, above=0.0, below=1.0)
    check.choice("better", better, ("lower", "higher"))
    check.probability("alpha", alpha)
    check.finite("power", power, above=alpha, below=1.0)
    check.choice("method", method, ("unpooled", "farrington-manning"))
    null_difference = margin if better == "lower" else -margin
    distance = (null_difference - (p_t - p_c)) * (1.0 if better == "lower" else -1.0)
    if distance <= 0:
        raise ValueError(f"p_treatment={p_t}: allowed is a rate inside the margin of {margin} from p_control={p_c}")
    alternative = math.sqrt(p_c * (1 - p_c) + p_t * (1 - p_t))
    null = alternative
    if method == "farrington-manning":
        rates = rates_on_margin(p_t, p_c, null_difference)
        null = math.sqrt(rates.treatment * (1 - rates.treatment) + rates.control * (1 - rates.control))
    z = critical_value(alpha, "greater") * null + normal_quantile(power) * alternative
    return (z / distance) ** 2


def rates_on_margin(p_treatment: float, p_control: float, difference: float) -> NullRates:
    """Return the most likely rates given that treatment minus control equals a fixed difference, equal arms.

    Raises:
        ValueError: a rate outside (0, 1) or a difference outside (-1, 1).

    Source: Farrington and Manning 1990, appendix (closed form of the cubic).
    """
    p_t, p_c = check.probability("p_treatment", p_treatment), check.probability("p_control", p_control)
    s = check.finite("difference", difference, above=-1.0, below=1.0)
    a, b = 2.0, -(2.0 + p_t + p_c + 3.0 * s)
    c = s * s + s * (2.0 * p_t + 2.0) + p_t + p_c
    d = -p_t * s * (1.0 + s)
    shift = b / (3.0 * a)
    v = shift**3 - b * c / (6.0 * a * a) + d / (2.0 * a)
    u = math.copysign(math.sqrt(max(0.0, shift**2 - c / (3.0 * a))), v)
    cosine = 1.0 if u == 0.0 else min(1.0, max(-1.0, v / u**3))
    treatment = 2.0 * u * math.cos((math.pi + math.acos(cosine)) / 3.0) - shift
    treatment = min(max(treatment, max(0.0, s)), min(1.0, 1.0 + s))
    return NullRates(treatment, treatment - s)


def noninferiority_sample_size_of_mean(
    standard_deviation: float,
    *,
    margin: float,
    expected_harm: float = 0.0,
    alpha: float = 0.025,
    power: float = 0.8,
) -> float:
    """Return the size per arm to prove non-inferiority of a mean (normal approximation).

    Args:
        standard_deviation: of a single unit.
        margin: the harm that is still accepted, > 0.
        expected_harm: the harm that is really there, below the margin; negative when treatment is better.
        alpha: one-sided level.
        power: chance to prove it, above alpha.

    Raises:
        ValueError: an argument is out of range or expected_harm reaches the margin.
    """
    sd = check.positive("standard_deviation", standard_deviation)
    check.positive("margin", margin)
    harm = check.finite("expected_harm", expected_harm, below=margin)
    check.probability("alpha", alpha)
    check.finite("power", power, above=alpha, below=1.0)
    z = critical_value(alpha, "greater") + normal_quantile(power)
    return 2.0 * (z * sd / (margin - harm)) ** 2
