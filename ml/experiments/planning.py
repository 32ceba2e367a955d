"""How many units an experiment needs, with its looks and its arms, and whether it can be had in the time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ml.experiments import validation as check
from ml.experiments.boundaries import spending_boundaries
from ml.experiments.characteristics import efficiency
from ml.experiments.design import proportion_sample_size
from ml.experiments.distributions import normal_quantile
from ml.experiments.mixtures import best_rho, mixture_z_boundary
from ml.experiments.specification import ErrorBudget, PrimaryMetric
from ml.experiments.spending import Spending

_LOOKS = 120
"""Looks for which inflation is computed; more looks change it in the third digit."""


@dataclass(frozen=True)
class SamplePlan:
    """Units per arm and what they buy.

    Attributes:
        fixed_n: of a test with a single look at the end, at the same error per arm.
        required_n: at which the experiment ends, with looks at any time.
        expected_n: on average, when the effect is the minimum effect.
        expected_n_null: on average, without effect.
        inflation: required_n over fixed_n.
    """

    fixed_n: int
    required_n: int
    expected_n: int
    expected_n_null: int
    inflation: float


def required_n(
    primary: PrimaryMetric,
    *,
    treatments: int = 1,
    alpha: float = 0.05,
    power: float = 0.8,
    budget: ErrorBudget | None = None,
    spending: Spending | None = None,
    open_ended: bool = False,
) -> SamplePlan:
    """Return how many units per arm an experiment needs to find the minimum effect of its primary metric.

    Args:
        primary: baseline and minimum effect.
        treatments: arms besides control; each may be promoted wrongly with its share of alpha only.
        alpha: of the whole experiment.
        power: to promote a treatment that has the minimum effect.
        budget: how alpha is shared out; None is the default.
        spending: alpha spending of the planned mode; None is the O'Brien-Fleming type.
        open_ended: plan for a confidence sequence instead.

    Raises:
        ValueError: an argument is out of range.
    """
    check.probability("alpha", alpha)
    arms = check.whole("treatments", treatments, minimum=1)
    one_sided = alpha * (budget or ErrorBudget()).promotion / arms
    check.finite("power", power, above=one_sided, below=1.0)
    fixed = fixed_n(primary, alpha=one_sided, power=power)
    gain = _gains(one_sided, power, spending or Spending(), open_ended)
    return SamplePlan(
        fixed_n=math.ceil(fixed),
        required_n=math.ceil(fixed * gain[0]),
        expected_n=math.ceil(fixed * gain[1]),
        expected_n_null=math.ceil(fixed * gain[2]),
        inflation=gain[0],
    )


def fixed_n(primary: PrimaryMetric, *, alpha: float, power: float) -> float:
    """Return the units per arm of a one-sided test with a single look.

    Raises:
        ValueError: an argument is out of range.
    """
    if primary.standard_deviation is None:
        change = primary.minimum_effect if primary.better == "increase" else -primary.minimum_effect
        return proportion_sample_size(
            primary.baseline, primary.baseline + change, alpha=alpha, power=power, alternative="greater"
        )
    z = normal_quantile(check.probability("power", power)) - normal_quantile(check.probability("alpha", alpha))
    return 2.0 * (z * primary.standard_deviation / primary.minimum_effect) ** 2


@lru_cache(maxsize=256)
def _gains(alpha: float, power: float, spending: Spending, open_ended: bool) -> tuple[float, float, float]:
    times = np.arange(1, _LOOKS + 1) / _LOOKS
    if open_ended:
        rho = best_rho(1.0, alpha, sides=1)
        bounds = [mixture_z_boundary(t, rho=rho, alpha=alpha, sides=1) for t in times.tolist()]
    else:
        bounds = [look.boundary for look in spending_boundaries(times, spending=spending, alpha=alpha, sides=1)]
    result = efficiency(times, bounds, alpha=alpha, power=power, sides=1)
    return result.inflation, result.expected_under_alternative, result.expected_under_null
