"""Effects that do not hold still: novelty that wears off, and carry-over from what ran before.

Both are checks that ask for a longer look, not reasons to stop: a significant answer says that the average
effect of the experiment is a poor forecast of the effect afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.experiments import validation as check
from ml.experiments.distributions import symmetric_interval, tail_p_value
from ml.experiments.ratio import RatioSums, compare_ratios
from ml.experiments.results import Comparison, Interval
from ml.experiments.strata import Stratum, summarise


@dataclass(frozen=True)
class NoveltyCheck:
    """Trend of the effect over time.

    Attributes:
        slope: change of the effect per unit of time.
        standard_error: of the slope.
        p_value: two-sided.
        interval: of the slope.
        early_effect: fitted effect at the first period.
        late_effect: fitted effect at the last period.
        novelty: the trend is significant and the effect shrinks towards zero.
        primacy: the trend is significant and the effect grows away from zero.
    """

    slope: float
    standard_error: float
    p_value: float
    interval: Interval
    early_effect: float
    late_effect: float
    novelty: bool
    primacy: bool


def novelty_check(periods: Sequence[Stratum], times: check.Numbers, *, alpha: float = 0.05) -> NoveltyCheck:
    """Test whether the effect changes with time, by weighted regression of the periods' effects on time.

    Args:
        periods: both arms in each period (day since first exposure, where known, else calendar day).
        times: the middle of each period, in any unit.
        alpha: level of the test.

    Raises:
        ValueError: fewer than three usable periods with some variance, or times that do not differ.

    Source: Kohavi, Tang and Xu 2020, section 23.4; weighted least squares with known variances.
    """
    check.probability("alpha", alpha)
    t = check.vector("times", times)
    if t.size != len(periods):
        raise ValueError(f"times has {t.size} values and periods {len(periods)}: allowed are equal lengths")
    usable = [i for i, s in enumerate(periods) if summarise([s]).variances.sum() > 0]
    if len(usable) < 3 or np.unique(t[usable]).size < 2:
        raise ValueError(f"periods: {len(usable)} can be used; allowed are at least 3, at different times")
    parts = summarise([periods[i] for i in usable])
    t = t[usable]
    w = 1.0 / parts.variances
    centre = float(w @ t / w.sum())
    spread = float(w @ (t - centre) ** 2)
    slope = float(w @ ((t - centre) * parts.differences)) / spread
    level = float(w @ parts.differences / w.sum())
    error = math.sqrt(1.0 / spread)
    p_value = tail_p_value(slope / error)
    early, late = level + slope * (float(t.min()) - centre), level + slope * (float(t.max()) - centre)
    significant = p_value <= alpha
    return NoveltyCheck(
        slope=slope,
        standard_error=error,
        p_value=p_value,
        interval=symmetric_interval(slope, error, alpha),
        early_effect=early,
        late_effect=late,
        novelty=significant and abs(late) < abs(early),
        primacy=significant and abs(late) >= abs(early),
    )


def carry_over_check(control_before: RatioSums, treatment_before: RatioSums, *, alpha: float = 0.05) -> Comparison:
    """Test whether the arms already differed before the experiment (an A/A look at the pre-period).

    A difference says that an earlier experiment carries over, or that assignment depends on the user; assign
    anew with another salt before trusting the result.

    Raises:
        ValueError: an arm has fewer than two users, or the variance is zero.

    Source: Kohavi et al. 2012, section 3.5 (carryover effects).
    """
    return compare_ratios(control_before, treatment_before, alpha=alpha)
