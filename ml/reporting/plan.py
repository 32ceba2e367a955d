"""What an experiment will cost and what it will say: size, duration and the chance of each outcome."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ml.experiments.boundaries import spending_boundaries
from ml.experiments.characteristics import DesignPass
from ml.experiments.distributions import normal_quantile
from ml.experiments.duration import Duration, expected_duration
from ml.experiments.mixtures import best_rho, mixture_z_boundary
from ml.experiments.planning import SamplePlan, required_n
from ml.experiments.specification import ErrorBudget, ExperimentSpec, PrimaryMetric

_LOOKS = 120
EFFECT_MULTIPLES = (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class OutcomeChance:
    """What happens when the true effect is a multiple of the minimum effect.

    Attributes:
        multiple: of the minimum effect; negative is worse than control.
        effect: the same as an absolute improvement.
        promoted: chance that the treatment is promoted.
        rolled_back: chance that it is rolled back because the primary got worse.
        inconclusive: chance that the sample is used up without a claim.
        expected_n: units per arm on average.
    """

    multiple: float
    effect: float
    promoted: float
    rolled_back: float
    inconclusive: float
    expected_n: int


@dataclass(frozen=True)
class Plan:
    """Answer of `mlp plan`."""

    primary: PrimaryMetric
    treatments: int
    alpha: float
    power: float
    open_ended: bool
    size: SamplePlan
    duration: Duration | None
    outcomes: tuple[OutcomeChance, ...]


def make_plan(
    primary: PrimaryMetric,
    *,
    treatments: int = 1,
    alpha: float = 0.05,
    power: float = 0.8,
    open_ended: bool = False,
    units_per_day: float | None = None,
    treatment_share: float | None = None,
    ramp_seconds: float = 0.0,
) -> Plan:
    """Plan an experiment.

    Args:
        primary: the deciding metric with baseline and minimum effect.
        treatments: arms besides control.
        alpha: of the whole experiment.
        power: to promote a treatment that has the minimum effect.
        open_ended: plan for confidence sequences.
        units_per_day: new users per day over all arms; None leaves the duration open.
        treatment_share: of each treatment after the ramp; None shares equally among all arms.
        ramp_seconds: over which the treatments' shares grow.

    Raises:
        ValueError: an argument is out of range.
    """
    size = _size(primary, treatments=treatments, alpha=alpha, power=power, open_ended=open_ended)
    share = 1.0 / (treatments + 1) if treatment_share is None else treatment_share
    spec = ExperimentSpec(
        control="control",
        treatments=tuple(f"treatment-{k + 1}" for k in range(treatments)),
        shares=(share,) * treatments,
        primary=primary,
        planned_n=size.required_n,
        alpha=alpha,
        mode="open-ended" if open_ended else "planned",
        budget=ErrorBudget(),
    )
    duration = None
    if units_per_day is not None:
        weights = [1.0 - share * treatments, *[share] * treatments]
        try:
            duration = expected_duration(size.required_n, units_per_day / 86_400.0, weights, ramp_seconds=ramp_seconds)
        except OverflowError:
            raise ValueError(f"units_per_day={units_per_day}: allowed are enough for an end in finite time") from None
    outcomes = outcome_chances(spec, size, power)
    return Plan(primary, treatments, alpha, power, open_ended, size, duration, outcomes)


def _size(primary: PrimaryMetric, *, treatments: int, alpha: float, power: float, open_ended: bool) -> SamplePlan:
    try:
        return required_n(primary, treatments=treatments, alpha=alpha, power=power, open_ended=open_ended)
    except OverflowError:
        given = f"standard_deviation={primary.standard_deviation}, minimum_effect={primary.minimum_effect}"
        raise ValueError(f"{given}: allowed is an effect that a sample of finite size can show") from None


def outcome_chances(spec: ExperimentSpec, size: SamplePlan, power: float) -> tuple[OutcomeChance, ...]:
    """Return the chance of each outcome for several true effects, from the exact distribution of the looks."""
    every = np.arange(1, _LOOKS + 1) / _LOOKS
    # No claim is made, and no error spent, before the minimum size; the last look is always taken.
    times = every[(every * size.required_n >= spec.minimum_n) | (every == 1.0)]
    alpha, harm_alpha = spec.promotion_alpha, spec.rollback_alpha(1.0)
    if spec.mode == "planned":
        upper = [look.boundary for look in spending_boundaries(times, spending=spec.spending, alpha=alpha, sides=1)]
    else:
        rho = best_rho(1.0, alpha, sides=1)
        upper = [mixture_z_boundary(t, rho=rho, alpha=alpha, sides=1) for t in times.tolist()]
    harm_rho = best_rho(0.25, harm_alpha, sides=1)
    lower = [-mixture_z_boundary(t, rho=harm_rho, alpha=harm_alpha, sides=1) for t in times.tolist()]
    run = DesignPass(times, lower, upper)
    # Expected z at the end under the minimum effect: the size was chosen for this power.
    fixed_drift = normal_quantile(power) - normal_quantile(alpha)
    drift = fixed_drift * math.sqrt(size.required_n / size.fixed_n)
    found: list[OutcomeChance] = []
    for multiple in EFFECT_MULTIPLES:
        result = run.characteristics(max(-8.0, min(8.0, multiple * drift)))
        found.append(
            OutcomeChance(
                multiple=multiple,
                effect=multiple * spec.primary.minimum_effect,
                promoted=result.power,
                rolled_back=result.opposite,
                inconclusive=max(0.0, 1.0 - result.power - result.opposite),
                expected_n=math.ceil(result.expected_fraction * size.required_n),
            )
        )
    return tuple(found)


def power_curve(primary: PrimaryMetric, sizes: list[int], *, treatments: int, alpha: float) -> list[float]:
    """Return the power to find the minimum effect for several sizes per arm, with 120 looks.

    Raises:
        ValueError: an argument is out of range.
    """
    one_sided = alpha * ErrorBudget().promotion / treatments
    times = np.arange(1, _LOOKS + 1) / _LOOKS
    upper = [look.boundary for look in spending_boundaries(times, alpha=one_sided, sides=1)]
    run = DesignPass(times, [-37.0] * _LOOKS, upper)
    reference = required_n(primary, treatments=treatments, alpha=alpha)
    unit = (normal_quantile(0.8) - normal_quantile(one_sided)) / math.sqrt(reference.fixed_n)
    return [run.characteristics(min(8.0, unit * math.sqrt(n))).power for n in sizes]
