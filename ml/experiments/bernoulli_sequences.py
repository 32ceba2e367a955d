"""Confidence sequences for proportions that hold at every sample size, however small.

The evidence against a rate p after x successes in n is a beta-binomial mixture: the likelihood under a Beta
prior centred at p over the likelihood under p. The interval collects the rates that the evidence does not
refute. No normal approximation is made anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from scipy import optimize, special

from ml.experiments import validation as check
from ml.experiments.results import Interval

_SMALLEST_CONCENTRATION: Final = 1e-3
_OUTSIDE: Final = 1e-12
"""Rates closer than this to 0 or 1 are not told apart from them."""
_INSIDE: Final = 1e-9


def beta_concentration(tuned_for: float, alpha: float) -> float:
    """Return the weight (in observations) of the Beta prior that is tightest around `tuned_for` observations.

    Source: Howard et al. 2021, proposition 7 (beta-binomial mixture matched to the normal mixture's best rho).
    """
    doubled = -2.0 * math.log(alpha)
    return max(tuned_for / (doubled + math.log1p(doubled)) - 1.0, _SMALLEST_CONCENTRATION)


def bernoulli_log_evidence(successes: float, n: float, p: float, concentration: float) -> float:
    """Return the log evidence against the rate p after (possibly fractional) successes in n.

    Raises:
        ValueError: an argument is out of range.

    Source: Howard, Ramdas, McAuliffe and Sekhon 2021, section 3.3.
    """
    size = check.positive("n", n)
    x = check.finite("successes", successes, minimum=0.0, maximum=size)
    rate = check.probability("p", p)
    a, b = rate * concentration, (1.0 - rate) * concentration
    return (
        float(special.betaln(a + x, b + size - x) - special.betaln(a, b))
        - x * math.log(rate)
        - (size - x) * math.log1p(-rate)
    )


def bernoulli_confidence_sequence(
    successes: float, n: float, *, tuned_for: float, alpha: float = 0.05, tuned_alpha: float = 0.05
) -> Interval:
    """Return the interval of a rate that holds at all times at once.

    Args:
        successes: so far.
        n: observations so far.
        tuned_for: number of observations at which the sequence should be tightest; fixed beforehand.
        alpha: level.
        tuned_alpha: level for which tuned_for is meant.

    Raises:
        ValueError: an argument is out of range.

    Source: Howard et al. 2021; the confseq package's bernoulli_confidence_interval.
    """
    x, size = check.successes("successes", successes, "n", n)
    log_threshold = -math.log(check.probability("alpha", alpha))
    check.probability("tuned_alpha", tuned_alpha)
    concentration = beta_concentration(check.positive("tuned_for", tuned_for), tuned_alpha)

    def excess(rate: float) -> float:
        return bernoulli_log_evidence(x, size, rate, concentration) - log_threshold

    middle = x / size
    low = 0.0 if x == 0 else _edge(excess, _OUTSIDE, min(middle, 1.0 - _INSIDE))
    high = 1.0 if x == size else _edge(excess, 1.0 - _OUTSIDE, max(middle, _INSIDE))
    return Interval(low, high)


def _edge(excess: Callable[[float], float], outside: float, inside: float) -> float:
    """Return where the evidence crosses the threshold between a refuted and an accepted rate."""
    if excess(outside) <= 0.0:
        return 0.0 if outside < 0.5 else 1.0
    return float(optimize.brentq(excess, outside, inside, xtol=1e-13, rtol=1e-12))


def difference_confidence_sequence(
    control_successes: float,
    control_n: float,
    treatment_successes: float,
    treatment_n: float,
    *,
    tuned_for: float,
    alpha: float = 0.05,
) -> Interval:
    """Return an interval of the difference of two rates that holds at all times and any sample size.

    Each arm's rate is bounded at alpha / 2; the union bound makes the difference safe and somewhat wide. Use
    it where counts are too small for `mixtures.confidence_sequence`.

    Raises:
        ValueError: an argument is out of range.
    """
    half = check.probability("alpha", alpha) / 2.0
    control = bernoulli_confidence_sequence(
        control_successes, control_n, tuned_for=tuned_for, alpha=half, tuned_alpha=half
    )
    treatment = bernoulli_confidence_sequence(
        treatment_successes, treatment_n, tuned_for=tuned_for, alpha=half, tuned_alpha=half
    )
    return Interval(treatment.low - control.high, treatment.high - control.low)
