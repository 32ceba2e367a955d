"""Can an experiment see enough units in its time? Exact for its ramp, its shares, its holdout and its stratified test.

The test combines epochs, so what counts is the information of each stretch of constant weights, n_c n_t / (n_c + n_t),
not the total of each arm: users that control gets while the ramp is low have few users to be compared with.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Final

from ml.contracts.abtest import LARGEST_NUMBER
from ml.controller.daily_units import SECONDS_PER_DAY
from ml.experiments.planning import SamplePlan, fixed_n
from ml.experiments.ramp import weights_at
from ml.experiments.specification import TOTAL_WEIGHT, ExperimentSpec, PrimaryMetric

_HALVINGS: Final = 60


@dataclass(frozen=True)
class Growth:
    """A quantity that grows by a constant slope within each stretch of time; the last stretch never ends.

    Attributes:
        slopes: per second, one for each stretch.
        stretch_seconds: length of every stretch but the last.
    """

    slopes: tuple[float, ...]
    stretch_seconds: float

    def after(self, seconds: float) -> float:
        """Return how much there is after a time."""
        total, left = 0.0, seconds
        for slope in self.slopes[:-1]:
            within = min(left, self.stretch_seconds)
            total, left = total + slope * within, left - within
        return total + self.slopes[-1] * left

    def time_to(self, amount: float) -> float:
        """Return when there is so much."""
        elapsed, left = 0.0, amount
        for slope in self.slopes[:-1]:
            if left <= slope * self.stretch_seconds:
                return elapsed + left / slope
            elapsed, left = elapsed + self.stretch_seconds, left - slope * self.stretch_seconds
        return elapsed + left / self.slopes[-1]


@dataclass(frozen=True)
class Traffic:
    """What an experiment collects at a rate of new units.

    Attributes:
        information: per treatment, units per arm of a balanced experiment with the same information.
        units: per arm.
    """

    information: tuple[Growth, ...]
    units: tuple[Growth, ...]

    def information_after(self, seconds: float) -> float:
        """Return the least that any treatment has."""
        return min(growth.after(seconds) for growth in self.information)

    def smallest_arm_after(self, seconds: float) -> float:
        """Return the units of the smallest arm."""
        return min(growth.after(seconds) for growth in self.units)

    def seconds_needed(self, units_per_arm: float, smallest_arm: float) -> float:
        """Return when every treatment has so much information and every arm so many units."""
        return max(
            *(growth.time_to(units_per_arm) for growth in self.information),
            *(growth.time_to(smallest_arm) for growth in self.units),
        )


def traffic_of(specification: ExperimentSpec, units_per_day: float) -> Traffic:
    """Return what an experiment collects; the rate is that of all users, held out ones included."""
    ramp = specification.ramp
    rate = units_per_day / SECONDS_PER_DAY / TOTAL_WEIGHT
    stretches = ramp.steps if ramp.seconds > 0.0 else 0
    # Weights are asked for in the middle of a stretch, where rounding cannot fall on the wrong side.
    middles = [(index + 0.5) * ramp.seconds / ramp.steps for index in range(stretches)]
    weights = [weights_at(specification, moment) for moment in (*middles, ramp.seconds)]
    length = ramp.seconds / ramp.steps
    return Traffic(
        information=tuple(
            Growth(tuple(rate * _balanced(w[specification.control], w[arm]) for w in weights), length)
            for arm in specification.treatments
        ),
        units=tuple(Growth(tuple(rate * w[arm] for w in weights), length) for arm in specification.arms),
    )


def smallest_effect(primary: PrimaryMetric, size: SamplePlan, alpha: float, power: float, units: float) -> float | None:
    """Return the smallest minimum effect that so many units per arm can find, rounded up; None if there is none.

    Args:
        primary: the metric; its minimum effect is too small.
        size: of the sample for it; looks cost the same for every effect.
        alpha: one-sided, of one treatment.
        power: to find the effect.
        units: per arm that there are.
    """
    room = LARGEST_NUMBER
    if primary.standard_deviation is None:
        room = 1.0 - primary.baseline if primary.better == "increase" else primary.baseline

    def enough(effect: float) -> bool:
        larger = PrimaryMetric(
            name=primary.name,
            better=primary.better,
            minimum_effect=effect,
            baseline=primary.baseline,
            standard_deviation=primary.standard_deviation,
        )
        return math.ceil(fixed_n(larger, alpha=alpha, power=power) * size.inflation) <= units

    low = primary.minimum_effect
    doubled = itertools.takewhile(lambda effect: effect < room, (low * 2.0**k for k in itertools.count(1)))
    largest = room * (1.0 - 1e-9)
    high = next((effect for effect in itertools.chain(doubled, [largest]) if effect > low and enough(effect)), None)
    if high is None:
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if enough(middle) else (middle, high)
    rounded = (_rounded_up(high, digits) for digits in (3, 6, 9, 12))
    return next((effect for effect in rounded if effect <= room and enough(effect)), None)


def _rounded_up(value: float, digits: int) -> float:
    """Return the next larger number with so many digits."""
    scale = digits - 1 - math.floor(math.log10(value))
    return float(f"{math.ceil(value * 10.0**scale - 1e-9) / 10.0**scale:.12g}")


def _balanced(control: int, treatment: int) -> float:
    """Units per arm of the balanced experiment that tells as much as these."""
    return 2.0 * control * treatment / (control + treatment)
