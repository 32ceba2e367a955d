"""Stopping because success has become unlikely: conditional and predictive power, futility boundaries.

Non-binding futility boundaries may be ignored without harm to the type I error and are the default; binding
ones buy a slightly lower efficacy boundary and must then be obeyed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import optimize

from ml.experiments import validation as check
from ml.experiments.boundaries import SpendingPath
from ml.experiments.distributions import normal_cdf, normal_quantile
from ml.experiments.recursion import TILTED_REACH, Arrival, Stopped, begin
from ml.experiments.spending import Spending


@dataclass(frozen=True)
class FutilityDesign:
    """A one-sided design with efficacy and futility boundaries.

    Attributes:
        fractions: information at each look over the last look's.
        upper: z at or above which efficacy is claimed.
        lower: z at or below which to stop for futility; equals upper at the last look.
        drift: expected z at the last look at which the design has its power.
        inflation: size of the last look over the fixed-sample size.
        binding: whether the futility boundary must be obeyed.
    """

    fractions: tuple[float, ...]
    upper: tuple[float, ...]
    lower: tuple[float, ...]
    drift: float
    inflation: float
    binding: bool


def conditional_power(
    z: float, fraction: float, *, alpha: float = 0.025, drift: float | None = None, boundary: float | None = None
) -> float:
    """Return the chance of a significant end, given the data so far and an assumed effect.

    Args:
        z: statistic at the interim look.
        fraction: information at the look over the final information, in (0, 1).
        alpha: one-sided level of the final test.
        drift: assumed expected z at the end; None takes the current trend, z / sqrt(fraction).
        boundary: z needed at the end; None takes the fixed-sample value of alpha.

    Raises:
        ValueError: an argument is out of range.

    Source: Lan and Wittes 1988 (B-value).
    """
    value, t, end = _interim(z, fraction, alpha, boundary)
    b = value * math.sqrt(t)
    theta = b / t if drift is None else check.finite("drift", drift)
    return normal_cdf((b + theta * (1.0 - t) - end) / math.sqrt(1.0 - t))


def predictive_power(z: float, fraction: float, *, alpha: float = 0.025, boundary: float | None = None) -> float:
    """Return the chance of a significant end, averaged over the effects that the data allow (flat prior).

    Raises:
        ValueError: an argument is out of range.

    Source: Spiegelhalter, Freedman and Blackburn 1986.
    """
    value, t, end = _interim(z, fraction, alpha, boundary)
    return normal_cdf((value / math.sqrt(t) - end) / math.sqrt((1.0 - t) / t))


def _interim(z: float, fraction: float, alpha: float, boundary: float | None) -> tuple[float, float, float]:
    check.probability("alpha", alpha)
    end = -normal_quantile(alpha) if boundary is None else check.finite("boundary", boundary)
    return check.finite("z", z), check.probability("fraction", fraction), end


def futility_boundaries(
    information: check.Numbers,
    *,
    alpha: float = 0.025,
    power: float = 0.8,
    alpha_spending: Spending | None = None,
    beta_spending: Spending | None = None,
    binding: bool = False,
) -> FutilityDesign:
    """Return one-sided efficacy boundaries by alpha spending with futility boundaries by beta spending.

    Args:
        information: at each look, strictly increasing; at least two looks.
        alpha: one-sided level.
        power: at the planned effect, above alpha and below 1.
        alpha_spending: None is the O'Brien-Fleming type.
        beta_spending: None is the O'Brien-Fleming type.
        binding: count on the futility stops when setting the efficacy boundary.

    Raises:
        ValueError: an argument is out of range.

    Source: Pampallona, Tsiatis and Kim 2001; gsDesign test types 3 and 4.
    """
    times = check.increasing("information", information)
    if times.size < 2:
        raise ValueError("information has 1 look: allowed are at least 2")
    check.finite("alpha", alpha, above=0.0, below=0.5)
    check.finite("power", power, above=alpha, below=1.0)
    builder = _Builder(
        fractions=tuple(float(t) for t in times / times[-1]),
        alpha=alpha,
        beta=1.0 - power,
        alpha_spending=alpha_spending or Spending(),
        beta_spending=beta_spending or Spending(),
        binding=binding,
    )
    fixed = normal_quantile(power) - normal_quantile(alpha)
    drift = float(optimize.brentq(builder.missed, 0.5 * fixed, 2.0 * fixed + 1.0, xtol=1e-9))
    lower, upper, _ = builder.build(drift)
    return FutilityDesign(builder.fractions, upper, (*lower, upper[-1]), drift, (drift / fixed) ** 2, binding)


@dataclass(frozen=True)
class _Builder:
    fractions: tuple[float, ...]
    alpha: float
    beta: float
    alpha_spending: Spending
    beta_spending: Spending
    binding: bool

    def missed(self, drift: float) -> float:
        """Type II error at the last look beyond what beta spending leaves for it."""
        return self.build(drift)[2]

    def build(self, drift: float) -> tuple[tuple[float, ...], tuple[float, ...], float]:
        """Return lower boundaries (without the last), upper boundaries and `missed` for a drift."""
        free = SpendingPath(self.alpha_spending, self.alpha, 1).extend(list(self.fractions))
        upper, lower = [look.boundary for look in free.looks], list[float]()
        state: Stopped | None = None
        spent_alpha, spent_beta = 0.0, 0.0
        for k, t in enumerate(self.fractions):
            arrival = begin(t) if state is None else state.arrive(t, TILTED_REACH)
            if self.binding:
                total = self.alpha_spending.spent(t, self.alpha)
                upper[k] = self._efficacy(arrival, total - spent_alpha, upper[k])
                spent_alpha = total
            beta = self.beta_spending.spent(t, self.beta)
            if k == len(self.fractions) - 1:
                missed = arrival.below(upper[k] * math.sqrt(t), drift) - (beta - spent_beta)
                return tuple(lower), tuple(upper), missed
            score = arrival.lower_bound_for(max(beta - spent_beta, 1e-300), drift * t - 2.0 * math.sqrt(t), drift)
            spent_beta = beta
            lower.append(score / math.sqrt(t))
            if lower[-1] >= upper[k]:
                # So large an effect that the interim looks already decide: more power than asked for.
                return tuple(lower), tuple(upper), -self.beta
            state = arrival.stop(score, upper[k] * math.sqrt(t))
        raise AssertionError("unreachable: the last look returns")

    def _efficacy(self, arrival: Arrival, increment: float, start: float) -> float:
        if increment < 1e-14:
            return start
        return arrival.upper_bound_for(increment, start * math.sqrt(arrival.information)) / math.sqrt(
            arrival.information
        )
