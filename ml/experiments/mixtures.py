"""Normal-mixture confidence sequences: intervals that hold at all times at once.

A fixed-sample interval is right at one planned look. A confidence sequence covers the truth at every look, so
one may look at any time, stop at any time and run on for ever. The price is width: about 1.7 times the
sample of a planned sequential test.

The evidence against "no effect" after intrinsic time v (variance of the sum s) is a likelihood ratio averaged
over a normal prior on the effect; by Ville's inequality it ever exceeds 1 / alpha with chance at most alpha.
`rho` says at which v the sequence is tightest; see `best_rho`. mSPRT, GAVI and AsympCS are this formula with
different names for rho.

With an estimated variance (`confidence_sequence`) the guarantee is asymptotic: wait for a few hundred units and
a few dozen events per arm, or use `bernoulli_sequences` and `rates`, which hold at any sample size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from scipy import special

from ml.experiments import validation as check
from ml.experiments.boundaries import Sides
from ml.experiments.results import ALTERNATIVES, Alternative, Interval

_LN_2: Final = math.log(2.0)


@dataclass(frozen=True)
class AnytimeResult:
    """What a confidence sequence says at one look.

    Attributes:
        estimate: of the effect.
        interval: covers the truth at all looks with probability 1 - alpha.
        p_value: always-valid; below alpha exactly when the interval leaves out the null value.
        log_evidence: log of the mixture likelihood ratio (the e-value).
    """

    estimate: float
    interval: Interval
    p_value: float
    log_evidence: float


def best_rho(v: float, alpha: float, *, sides: Sides = 2) -> float:
    """Return the rho that makes the boundary at level alpha tightest around intrinsic time v.

    Args:
        v: intrinsic time to optimise for, in the unit in which the sequence will be used (for example units).
        alpha: level.
        sides: 2, or 1 for the one-sided mixture (which behaves as a two-sided one at twice the level).

    Raises:
        ValueError: an argument is out of range.

    Source: Howard, Ramdas, McAuliffe and Sekhon 2021, arXiv 1810.08240, section 3.5.
    """
    time = check.positive("v", v)
    level = check.probability("alpha", alpha) * (1 if _sides(sides) == 2 else 2)
    if level >= 1.0:
        raise ValueError(f"alpha={alpha}: allowed are levels below 0.5 for one side")
    doubled = -2.0 * math.log(level)
    return time / (doubled + math.log1p(doubled))


def log_mixture(s: float, v: float, rho: float, *, sides: Sides = 2) -> float:
    """Return the log evidence of a sum s with variance v.

    One-sided evidence counts only s > 0; negative sums speak against an effect.

    Raises:
        ValueError: an argument is out of range.

    Source: Howard et al. 2021, section 3.2 (two-sided and one-sided normal mixture).
    """
    total, time = check.finite("s", s), check.finite("v", v, minimum=0.0)
    r = check.positive("rho", rho)
    two_sided = 0.5 * math.log(r / (time + r)) + total * total / (2.0 * (time + r))
    if _sides(sides) == 2:
        return two_sided
    return two_sided + _LN_2 + float(special.log_ndtr(total / math.sqrt(time + r)))


def mixture_boundary(v: float, alpha: float, rho: float, *, sides: Sides = 2) -> float:
    """Return the sum that the mixture boundary allows at intrinsic time v.

    Raises:
        ValueError: an argument is out of range.

    Source: Howard et al. 2021, equation 14 for two sides; root of the log mixture for one side.
    """
    time, r = check.finite("v", v, minimum=0.0), check.positive("rho", rho)
    log_threshold = -math.log(check.probability("alpha", alpha))
    scale = time + r
    two_sided = math.sqrt(scale * (math.log(scale / r) + 2.0 * log_threshold))
    if _sides(sides) == 2:
        return two_sided
    # Newton on the log mixture; it is convex and increasing there, and two_sided lies to the right of the root.
    score = two_sided
    for _ in range(60):
        x = score / math.sqrt(scale)
        log_phi = float(special.log_ndtr(x))
        excess = 0.5 * math.log(r / scale) + 0.5 * x * x + _LN_2 + log_phi - log_threshold
        slope = (x + math.exp(-0.5 * x * x - log_phi) / math.sqrt(2.0 * math.pi)) / math.sqrt(scale)
        step = excess / slope
        score -= step
        if abs(step) <= 1e-12 * math.sqrt(scale):
            break
    return score


def confidence_sequence(
    estimate: float,
    standard_error: float,
    n: float,
    *,
    tuned_for: float,
    alpha: float = 0.05,
    null_value: float = 0.0,
    alternative: Alternative = "two-sided",
) -> AnytimeResult:
    """Return the asymptotic confidence sequence of an effect at one look.

    Args:
        estimate: of the effect.
        standard_error: of the estimate, as for a single look.
        n: units behind the estimate (any measure of sample size that grows in proportion to information).
        tuned_for: the n at which the sequence should be tightest; fixed before the first look.
        alpha: level.
        null_value: the effect under the null hypothesis (a margin, for non-inferiority).
        alternative: "greater" bounds the effect from below only and so finds an increase sooner.

    Raises:
        ValueError: an argument is out of range.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2021, arXiv 2103.06476; tuning as in Howard et al.
    """
    effect = check.finite("estimate", estimate)
    error = check.positive("standard_error", standard_error)
    size = check.positive("n", n)
    check.probability("alpha", alpha)
    null = check.finite("null_value", null_value)
    check.choice("alternative", alternative, ALTERNATIVES)
    sides: Sides = 2 if alternative == "two-sided" else 1
    rho = best_rho(tuned_for, alpha, sides=sides)
    reach = error * mixture_boundary(size, alpha, rho, sides=sides) / math.sqrt(size)
    sign = -1.0 if alternative == "less" else 1.0
    score = sign * (effect - null) / error * math.sqrt(size)
    evidence = log_mixture(score, size, rho, sides=sides)
    return AnytimeResult(
        estimate=effect,
        interval=Interval(
            -math.inf if alternative == "less" else effect - reach,
            math.inf if alternative == "greater" else effect + reach,
        ),
        p_value=min(1.0, math.exp(-max(0.0, evidence))),
        log_evidence=evidence,
    )


def mixture_z_boundary(fraction: float, *, rho: float, alpha: float = 0.05, sides: Sides = 2) -> float:
    """Return the mixture boundary as a z value at a fraction of a horizon, rho in the same unit.

    Raises:
        ValueError: an argument is out of range.
    """
    t = check.positive("fraction", fraction)
    return mixture_boundary(t, alpha, rho, sides=sides) / math.sqrt(t)


def _sides(sides: int) -> int:
    if sides not in (1, 2):
        raise ValueError(f"sides={sides}: allowed are 1 and 2")
    return sides
