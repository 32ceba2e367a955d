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
        arm: 0 if arm in dropped else max(1, round(spec.total_weight * final * share))
        for arm, final in zip(spec.treatments, spec.shares, strict=True)
    }
    return {spec.control: spec.total_weight - sum(weights.values()), **weights}


def all_to(spec: ExperimentSpec, arm: str) -> Mapping[str, int]:
    """Return weights that send everything to one arm, every destination still listed."""
    return {name: spec.total_weight if name == arm else 0 for name in spec.arms}


def gateway_weights(spec: ExperimentSpec, weights: Mapping[str, int]) -> Mapping[str, int]:
    """Return what the gateway gets for an experiment's weights: held out users go to control.

    Whole numbers are moved, never scaled, so that the shares of the counted users are exactly the experiment's.
    """
    held_out = TOTAL_WEIGHT - spec.total_weight
    return {arm: weight + (held_out if arm == spec.control else 0) for arm, weight in weights.items()}


def net_weights(spec: ExperimentSpec, gateway: Mapping[str, int]) -> Mapping[str, int] | None:
    """Return the experiment's weights for what the gateway has; None if it has no room for the users held out.

    That is so when all traffic has been sent to a treatment, as a promotion does.
    """
    held_out = TOTAL_WEIGHT - spec.total_weight
    weights = {arm: gateway.get(arm, 0) - (held_out if arm == spec.control else 0) for arm in spec.arms}
    return None if min(weights.values()) < 0 else weights
