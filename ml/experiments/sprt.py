"""Sequential probability ratio tests: Wald's with a simple alternative, and the normal mixture version (mSPRT).

Wald's test is the fastest possible when the effect is exactly the one it was set up for, and can run long when
the truth lies in between. Evan Miller's simple rule for conversions is the same idea for a fair random walk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from ml.experiments import validation as check


@dataclass(frozen=True)
class SprtDesign:
    """Boundaries of the log likelihood ratio and expected sample sizes (Wald's approximations)."""

    log_upper: float
    log_lower: float
    expected_n_null: float
    expected_n_alternative: float


@dataclass(frozen=True)
class SprtState:
    """Where a test stands: log likelihood ratio and verdict."""

    log_likelihood_ratio: float
    verdict: Literal["accept alternative", "accept null", "continue"]


@dataclass(frozen=True)
class MixtureSprt:
    """The normal mSPRT at one look: likelihood ratio, 1 / ratio as p-value, half width of the interval."""

    likelihood_ratio: float
    p_value: float
    interval_half_width: float


def bernoulli_sprt_design(p0: float, p1: float, *, alpha: float = 0.05, beta: float = 0.2) -> SprtDesign:
    """Return Wald's boundaries and expected sizes for telling rate p0 from rate p1.

    Raises:
        ValueError: an argument is out of range, the rates are equal, or alpha + beta reaches 1.

    Source: Wald 1945, section 5.
    """
    check.probability("p0", p0)
    check.probability("p1", p1)
    a, b = check.probability("alpha", alpha), check.probability("beta", beta)
    if a + b >= 1.0:
        raise ValueError(f"beta={b}: allowed are values below 1 - alpha = {1 - a}")
    if p0 == p1:
        raise ValueError(f"p1={p1}: allowed is a rate other than p0={p0}")
    upper, lower = math.log((1.0 - b) / a), math.log(b / (1.0 - a))
    success, failure = math.log(p1 / p0), math.log((1.0 - p1) / (1.0 - p0))
    return SprtDesign(
        log_upper=upper,
        log_lower=lower,
        expected_n_null=(a * upper + (1.0 - a) * lower) / (p0 * success + (1.0 - p0) * failure),
        expected_n_alternative=((1.0 - b) * upper + b * lower) / (p1 * success + (1.0 - p1) * failure),
    )


def bernoulli_sprt(
    successes: float, n: float, p0: float, p1: float, *, alpha: float = 0.05, beta: float = 0.2
) -> SprtState:
    """Return the verdict of Wald's test after some successes in n observations.

    Raises:
        ValueError: an argument is out of range.

    Source: Wald 1945.
    """
    x, size = check.successes("successes", successes, "n", n)
    design = bernoulli_sprt_design(p0, p1, alpha=alpha, beta=beta)
    ratio = x * math.log(p1 / p0) + (size - x) * math.log((1.0 - p1) / (1.0 - p0))
    if ratio >= design.log_upper:
        return SprtState(ratio, "accept alternative")
    return SprtState(ratio, "accept null" if ratio <= design.log_lower else "continue")


def normal_msprt(
    difference: float, variance_of_difference: float, tau_squared: float, *, alpha: float = 0.05
) -> MixtureSprt:
    """Return the normal mSPRT of a difference whose variance is known (or well estimated).

    Args:
        difference: the estimate.
        variance_of_difference: its squared standard error.
        tau_squared: variance of the normal prior on effects, fixed before the first look.
        alpha: level of the interval.

    Returns:
        The ratio at this look; the always-valid p-value is the smallest 1 / ratio over all looks so far.

    Raises:
        ValueError: an argument is out of range.

    Source: Johari, Koomen, Pekelis and Walsh 2022 (always valid inference), equation 3.
    """
    d, v = check.finite("difference", difference), check.positive("variance_of_difference", variance_of_difference)
    t = check.positive("tau_squared", tau_squared)
    check.probability("alpha", alpha)
    log_ratio = 0.5 * math.log(v / (v + t)) + t * d * d / (2.0 * v * (v + t))
    half_width = math.sqrt(v * (v + t) / t * (math.log((v + t) / v) - 2.0 * math.log(alpha)))
    # exp overflows past 709; evidence that strong is capped, the p-value is 0 either way.
    return MixtureSprt(math.exp(min(log_ratio, 700.0)), min(1.0, math.exp(-max(0.0, log_ratio))), half_width)


def conversion_threshold(conversions: float, *, sides: Literal[1, 2] = 1) -> int:
    """Return the lead in conversions at which Evan Miller's simple sequential test stops.

    2 sqrt(N) for a one-sided and 2.25 sqrt(N) for a two-sided test at about 5 %.

    Raises:
        ValueError: an argument is out of range.

    Source: evanmiller.org, "Simple Sequential A/B Testing".
    """
    n = check.whole("conversions", conversions, minimum=1)
    if sides not in (1, 2):
        raise ValueError(f"sides={sides}: allowed are 1 and 2")
    return math.ceil((2.0 if sides == 1 else 2.25) * math.sqrt(n))


def lead_probability(conversions: float, threshold: float, *, p_treatment: float = 0.5) -> float:
    """Return the chance that treatment ever leads by `threshold` within so many conversions in all.

    With p_treatment = 1/2 this is the exact type I error of the simple sequential test (reflection
    principle); otherwise its power, from the ballot theorem.

    Args:
        conversions: N, after which the test ends without a winner.
        threshold: lead at which treatment wins, at least 1.
        p_treatment: chance that a conversion comes from treatment.

    Raises:
        ValueError: an argument is out of range.

    Source: Feller, An Introduction to Probability Theory, volume 1, chapter 3.
    """
    n, d = check.whole("conversions", conversions, minimum=1), check.whole("threshold", threshold, minimum=1)
    p = check.probability("p_treatment", p_treatment)
    if d > n:
        return 0.0
    steps = np.arange(d, n + 1, 2)
    wins = (steps + d) // 2
    # P(first lead of d after exactly m steps) = d/m C(m, (m+d)/2) p^wins (1-p)^(m-wins).
    log_first = (
        math.log(d)
        - np.log(steps)
        + special.gammaln(steps + 1)
        - special.gammaln(wins + 1)
        - special.gammaln(steps - wins + 1)
        + wins * math.log(p)
        + (steps - wins) * math.log1p(-p)
    )
    return min(1.0, float(np.exp(log_first).sum()))
