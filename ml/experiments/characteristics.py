"""What a sequential design does: power, expected sample size and inflation, for any z boundary.

Effects are given as `drift`, the expected z statistic at the last look; drift 0 is no effect, and a fixed-sample
test of power 1 - beta has drift z_{alpha/2} + z_beta at its only look.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from ml.experiments import validation as check
from ml.experiments.boundaries import Sides
from ml.experiments.distributions import normal_quantile
from ml.experiments.recursion import TILTED_REACH, Arrival, Stopped, begin


@dataclass(frozen=True)
class Characteristics:
    """Behaviour of a design under one effect.

    Attributes:
        power: chance to cross the upper boundary at any look.
        opposite: chance to cross the lower boundary (wrong side, or futility).
        stop_probability: chance to stop at each look, either side; the last look takes all that is left.
        expected_fraction: expected information at the end over the information of the last look.
    """

    power: float
    opposite: float
    stop_probability: tuple[float, ...]
    expected_fraction: float


@dataclass(frozen=True)
class Efficiency:
    """A design measured against the fixed-sample test with the same level and power.

    Attributes:
        type_one_error: chance to cross either boundary without effect.
        power_at_fixed_size: power when the last look has the fixed-sample size.
        inflation: size of the last look over the fixed size, to have the stated power.
        expected_under_alternative: expected size over the fixed size, when the effect is as planned.
        expected_under_null: the same when there is no effect.
    """

    type_one_error: float
    power_at_fixed_size: float
    inflation: float
    expected_under_alternative: float
    expected_under_null: float


class DesignPass:
    """One pass of the recursion without effect, from which the behaviour under any effect is read off."""

    def __init__(self, information: check.Numbers, lower: check.Numbers, upper: check.Numbers) -> None:
        """Run the pass.

        Args:
            information: at each look, strictly increasing; scaled so that the last look has 1.
            lower: z boundary below which to stop at each look; -37 for never.
            upper: z boundary above which to stop at each look.
        """
        times = check.increasing("information", information)
        a, b = check.vector("lower", lower), check.vector("upper", upper)
        check.same_size("information", times, "lower", a)
        check.same_size("information", times, "upper", b)
        if bool(np.any(a > b)):
            position = int(np.flatnonzero(a > b)[0])
            raise ValueError(f"lower[{position}]={a[position]}: allowed is at most upper[{position}]={b[position]}")
        self.fractions = times / times[-1]
        roots = np.sqrt(self.fractions)
        self.lower_scores, self.upper_scores = a * roots, b * roots
        self.arrivals: list[Arrival] = []
        state: Stopped | None = None
        for t, low, high in zip(self.fractions, self.lower_scores, self.upper_scores, strict=True):
            arrival = begin(float(t)) if state is None else state.arrive(float(t), TILTED_REACH)
            self.arrivals.append(arrival)
            state = arrival.stop(float(low), float(high))

    def crossings(self, drift: float) -> tuple[check.FloatArray, check.FloatArray]:
        """Return the chances to cross the upper and the lower boundary first at each look."""
        up = [a.above(float(b), drift) for a, b in zip(self.arrivals, self.upper_scores, strict=True)]
        down = [a.below(float(b), drift) for a, b in zip(self.arrivals, self.lower_scores, strict=True)]
        return np.array(up), np.array(down)

    def characteristics(self, drift: float) -> Characteristics:
        """Return power, stopping times and expected size under a drift."""
        check.finite("drift", drift, minimum=-8.0, maximum=8.0)
        up, down = self.crossings(drift)
        stops = up + down
        stops[-1] = max(0.0, 1.0 - float(stops[:-1].sum()))
        return Characteristics(
            power=min(1.0, float(up.sum())),
            opposite=min(1.0, float(down.sum())),
            stop_probability=tuple(float(p) for p in stops),
            expected_fraction=float(stops @ self.fractions),
        )

    def drift_for_power(self, power: float) -> float:
        """Return the drift at which the upper boundary is crossed with the given chance.

        Raises:
            ValueError: power outside (0, 1) or not reached by a drift of 8 standard errors.
        """
        check.probability("power", power)

        def missing(drift: float) -> float:
            return float(self.crossings(drift)[0].sum()) - power

        low, high = 0.0, 7.9
        if missing(low) >= 0.0 or missing(high) <= 0.0:
            raise ValueError(f"power={power}: allowed are powers between the level of the test and 1 - 1e-6")
        return float(optimize.brentq(missing, low, high, xtol=1e-10))


def design_pass(information: check.Numbers, boundaries: check.Numbers, *, sides: Sides = 2) -> DesignPass:
    """Return the pass of a symmetric two-sided (or an upper one-sided) boundary.

    Raises:
        ValueError: information does not grow, lengths differ or sides is not 1 or 2.
    """
    upper = check.vector("boundaries", boundaries)
    if sides not in (1, 2):
        raise ValueError(f"sides={sides}: allowed are 1 and 2")
    never = np.full(upper.size, -37.0)
    return DesignPass(information, -upper if sides == 2 else never, upper)


def sequential_characteristics(
    information: check.Numbers, boundaries: check.Numbers, drift: float, *, sides: Sides = 2
) -> Characteristics:
    """Return power and expected size of a design under one effect.

    Args:
        information: at each look.
        boundaries: z boundary at each look.
        drift: expected z at the last look, from -8 to 8.
        sides: 2 stops on both sides, 1 only above.

    Raises:
        ValueError: an argument is out of range.

    Source: Jennison and Turnbull 2000, chapter 19.
    """
    return design_pass(information, boundaries, sides=sides).characteristics(drift)


def efficiency(
    information: check.Numbers,
    boundaries: check.Numbers,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    sides: Sides = 2,
) -> Efficiency:
    """Compare a design with the fixed-sample test of the same level and power.

    Args:
        information: at each look; only ratios matter.
        boundaries: z boundary at each look.
        alpha: level of the fixed test it is compared with.
        power: of both.
        sides: of both.

    Raises:
        ValueError: an argument is out of range.

    Source: Jennison and Turnbull 2000, tables 2.1 to 2.8.
    """
    check.probability("alpha", alpha)
    check.finite("power", power, above=alpha, below=1.0)
    run = design_pass(information, boundaries, sides=sides)
    fixed = normal_quantile(power) - normal_quantile(alpha / 2 if sides == 2 else alpha)
    null = run.characteristics(0.0)
    drift = run.drift_for_power(power)
    inflation = (drift / fixed) ** 2
    return Efficiency(
        type_one_error=null.power + (null.opposite if sides == 2 else 0.0),
        power_at_fixed_size=run.characteristics(fixed).power,
        inflation=inflation,
        expected_under_alternative=run.characteristics(drift).expected_fraction * inflation,
        expected_under_null=null.expected_fraction * inflation,
    )


def expected_sample_size(
    information: check.Numbers,
    boundaries: check.Numbers,
    effect_multiples: check.Numbers,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    sides: Sides = 2,
) -> tuple[float, ...]:
    """Return expected sizes over the fixed-sample size, for multiples of the planned effect.

    The planned effect is the one at which the fixed test has the stated power; the design's last look is
    inflated so that it has that power too.

    Raises:
        ValueError: an argument is out of range.
    """
    multiples = check.vector("effect_multiples", effect_multiples)
    run = design_pass(information, boundaries, sides=sides)
    fixed = normal_quantile(check.probability("power", power)) - normal_quantile(alpha / 2 if sides == 2 else alpha)
    drift = run.drift_for_power(power)
    scale = (drift / fixed) ** 2
    return tuple(
        scale * run.characteristics(float(multiple) * math.sqrt(scale) * fixed).expected_fraction
        for multiple in multiples
    )
