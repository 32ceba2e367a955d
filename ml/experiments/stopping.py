"""Estimates after an early stop.

A test that stops when the effect looks large overstates it: the plain estimate is biased upwards and its
interval does not cover. Stage-wise ordering repairs both (an earlier stop is more extreme than a later one;
at the same look a larger z is). Repeated intervals are wider but hold at every look, stopped or not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from ml.experiments import validation as check
from ml.experiments.boundaries import Sides
from ml.experiments.characteristics import DesignPass
from ml.experiments.results import Interval


@dataclass(frozen=True)
class StoppedEstimate:
    """What can be said of the effect after stopping.

    Attributes:
        naive_estimate: the plain estimate, biased by stopping.
        median_unbiased: as often too high as too low.
        interval: stage-wise, with exact coverage.
        p_value: two-sided, stage-wise.
        repeated_interval: naive estimate plus and minus boundary times standard error.
    """

    naive_estimate: float
    median_unbiased: float
    interval: Interval
    p_value: float
    repeated_interval: Interval


def estimate_after_stopping(
    information: check.Numbers,
    boundaries: check.Numbers,
    estimate: float,
    *,
    sides: Sides = 2,
    alpha: float = 0.05,
) -> StoppedEstimate:
    """Estimate an effect after a sequential test stopped (or ended) at its last look.

    Args:
        information: 1 / standard error^2 of the effect at each look that took place.
        boundaries: z boundary at each of them.
        estimate: the plain effect estimate at the last of them.
        sides: of the test.
        alpha: one minus the level of the intervals.

    Raises:
        ValueError: an argument is out of range or lengths differ.

    Source: Tsiatis, Rosner and Mehta 1984; Jennison and Turnbull 2000, chapters 8 and 9.
    """
    times = check.increasing("information", information)
    bounds = check.vector("boundaries", boundaries)
    check.same_size("information", times, "boundaries", bounds)
    if bool(np.any(bounds <= 0)):
        raise ValueError(f"boundaries={float(bounds.min())}: allowed are z values > 0")
    check.probability("alpha", alpha)
    root = math.sqrt(float(times[-1]))
    z = check.finite("estimate", estimate) * root
    lower = -bounds if sides == 2 else np.full(bounds.size, -37.0)
    run = DesignPass(times, lower, bounds)

    def exceeds(drift: float) -> float:
        """P(at least as extreme upwards as what was seen) when the expected final z is `drift`."""
        up = [a.above(float(b), drift) for a, b in zip(run.arrivals[:-1], run.upper_scores[:-1], strict=True)]
        return sum(up) + run.arrivals[-1].above(z, drift)

    reach = abs(z) + 10.0
    null = exceeds(0.0)
    return StoppedEstimate(
        naive_estimate=z / root,
        median_unbiased=_solve(exceeds, 0.5, reach) / root,
        interval=Interval(_solve(exceeds, alpha / 2, reach) / root, _solve(exceeds, 1 - alpha / 2, reach) / root),
        p_value=min(1.0, 2.0 * min(null, 1.0 - null)),
        repeated_interval=Interval((z - float(bounds[-1])) / root, (z + float(bounds[-1])) / root),
    )


def _solve(exceeds: Callable[[float], float], target: float, reach: float) -> float:
    """Return the drift at which the chance equals target; the chance grows with the drift."""
    if exceeds(-reach) >= target:
        return -reach
    if exceeds(reach) <= target:
        return reach
    return float(optimize.brentq(lambda drift: exceeds(drift) - target, -reach, reach, xtol=1e-9))
