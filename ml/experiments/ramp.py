"""The weights that an experiment should have at a moment: one total, a fixed order, growing steps."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from ml.experiments import validation as check
from ml.experiments.specification import TOTAL_WEIGHT, ExperimentSpec


def weights_at(spec: ExperimentSpec, elapsed_seconds: float, dropped: Collection[str] = ()) -> Mapping[str, int]:
    """Return the weight of every arm, control first, after so many seconds.

    Weights of treatments grow in equal steps, the first at the start; what a dropped treatment would have had
    goes to control, so that no other treatment's users move.

    Args:
        spec: the experiment.
        elapsed_seconds: since its start; below 0 counts as 0.
        dropped: treatments that get nothing any more.

    Raises:
        ValueError: elapsed_seconds is not finite or dropped names no treatment.
    """
    elapsed = max(0.0, check.finite("elapsed_seconds", elapsed_seconds))
    unknown = set(dropped) - set(spec.treatments)
    if unknown:
        raise ValueError(f"dropped={sorted(unknown)}: allowed are {list(spec.treatments)}")
    share = 1.0
    if spec.ramp.seconds > 0.0 and elapsed < spec.ramp.seconds:
        share = (math.floor(elapsed / spec.ramp.seconds * spec.ramp.steps) + 1) / (spec.ramp.steps + 1)
    weights = {
        arm: 0 if arm in dropped else max(1, round(TOTAL_WEIGHT * final * share))
        for arm, final in zip(spec.treatments, spec.shares, strict=True)
    }
    return {spec.control: TOTAL_WEIGHT - sum(weights.values()), **weights}


def all_to(spec: ExperimentSpec, arm: str) -> Mapping[str, int]:
    """Return weights that send everything to one arm, every destination still listed."""
    return {name: TOTAL_WEIGHT if name == arm else 0 for name in spec.arms}
