"""How long an experiment takes: from traffic and weights to days."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ml.experiments import validation as check

SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True)
class Duration:
    """Time to reach a sample size in the slowest arm that needs it.

    Attributes:
        seconds: from the start of the ramp.
        slowest_arm: index of the arm that takes longest.
        whole_weeks: rounded up, so that every weekday counts alike.
    """

    seconds: float
    slowest_arm: int
    whole_weeks: int


def expected_duration(
    n_per_arm: float,
    units_per_second: float,
    weights: check.Numbers,
    *,
    ramp_seconds: float = 0.0,
) -> Duration:
    """Return how long it takes until every arm with weight holds n_per_arm units.

    Args:
        n_per_arm: required units per arm.
        units_per_second: new units (users or requests) that enter the experiment per second, all arms.
        weights: of the arms after the ramp; the first is control.
        ramp_seconds: the treatment weights grow evenly from zero to their value over this time; control
            has the rest.

    Raises:
        ValueError: an argument is out of range or an arm has no weight.
    """
    n = check.positive("n_per_arm", n_per_arm)
    rate = check.positive("units_per_second", units_per_second)
    ramp = check.finite("ramp_seconds", ramp_seconds, minimum=0.0)
    shares = check.weight_vector("weights", weights)
    if shares.size < 2 or float(shares.min()) <= 0.0:
        raise ValueError(f"weights={shares.tolist()}: allowed are at least two arms, all with a weight above 0")
    times: list[float] = []
    for index, share in enumerate(shares):
        full = n / (rate * float(share))
        if index == 0:
            # Control gets more than its share during the ramp; the extra is the treatments' missing half.
            during = rate * ramp * (1.0 + float(share)) / 2.0
            times.append(ramp + (n - during) / (rate * float(share)) if n > during else full)
        elif n >= rate * float(share) * ramp / 2.0:
            times.append(full + ramp / 2.0)
        else:
            times.append(math.sqrt(2.0 * n * ramp / (rate * float(share))))
    slowest = max(range(len(times)), key=times.__getitem__)
    seconds = times[slowest]
    return Duration(seconds, slowest, math.ceil(seconds / (7.0 * SECONDS_PER_DAY)))
