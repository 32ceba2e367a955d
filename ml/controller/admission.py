"""Whether an experiment may begin: the first and last time that somebody can be told what is wrong with it.

Pure: what the platform has and what else runs come in as facts. The API asks before it creates an `ABTest`, the
controller before it records one, so that both say the same. What is refused names the field, the value, what is
allowed, and the numbers behind it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ml.contracts.abtest import AbTestSpec, read_spec
from ml.contracts.problems import ABSENT, Problem, ProblemsError
from ml.controller.daily_units import SECONDS_PER_DAY, DailyUnits, UnitsSource, from_plan
from ml.controller.feasibility import Traffic, smallest_effect, traffic_of
from ml.controller.ports import SlotState
from ml.controller.specification import sample_plan, specification_of
from ml.experiments.planning import SamplePlan
from ml.experiments.specification import ExperimentSpec

LONGEST_DURATION_SECONDS: Final = 31_536_000


@dataclass(frozen=True, kw_only=True)
class ActiveExperiment:
    """Another experiment of the same model that was there first and is not over."""

    name: str
    arms: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AdmissionFacts:
    """What the platform is like.

    Attributes:
        slots: of each served model, in the gateway's order.
        slot_states: of the model's slots; a slot that is missing here is not judged.
        active: experiments of the same model that come first.
        measured: new users (or requests) of the model per day; None if nothing is known, or nobody asked.
    """

    slots: Mapping[str, Sequence[str]]
    slot_states: Mapping[str, SlotState] = field(default_factory=dict[str, SlotState])
    active: Sequence[ActiveExperiment] = ()
    measured: DailyUnits | None = None


@dataclass(frozen=True, kw_only=True)
class AdmissionPlan:
    """What an experiment needs and how long that takes, as it was known when it was admitted.

    Attributes:
        required_per_arm: units for the power that was asked for; a balanced experiment's, if the shares differ.
        planned_per_arm: at which it ends: the larger of the required and the smallest sample.
        minimum_per_arm: before which nothing is claimed.
        fixed_per_arm: required by a test with a single look.
        expected_per_arm: on average, if the effect is the minimum effect.
        expected_per_arm_without_effect: on average, if there is none.
        inflation: price of the looks, required over fixed.
        units_per_day: of all users; None if not known.
        units_per_day_source: where that number is from; see `DailyUnits`.
        measured_seconds: over which it was measured; None if it was not. With the source and the number this is all
            that the admission took from outside, so that it can be derived again.
        needed_seconds: until the sample is there; None if the traffic is not known.
        duration_seconds: the longest it may take.
    """

    required_per_arm: int
    planned_per_arm: int
    minimum_per_arm: int
    fixed_per_arm: int
    expected_per_arm: int
    expected_per_arm_without_effect: int
    inflation: float
    units_per_day: float | None
    units_per_day_source: UnitsSource
    measured_seconds: float | None
    needed_seconds: float | None
    duration_seconds: int


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """It may begin."""

    spec: AbTestSpec
    specification: ExperimentSpec
    plan: AdmissionPlan


@dataclass(frozen=True, kw_only=True)
class Queued:
    """Nothing is wrong with it, but it has to wait: for other experiments, or for a slot that serves nothing yet."""

    spec: AbTestSpec
    specification: ExperimentSpec
    plan: AdmissionPlan
    behind: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class Refused:
    """It cannot begin as it is; all that is wrong."""

    problems: tuple[Problem, ...]


Admission = Admitted | Queued | Refused


def admit(document: object, facts: AdmissionFacts) -> Admission:
    """Decide whether an experiment may begin.

    Args:
        document: the spec as written, in camel case.
        facts: what the platform is like.
    """
    try:
        spec = read_spec(document)
    except ProblemsError as error:
        return Refused(error.problems)
    unknown = _unknown_names(spec, facts)
    if unknown:
        return Refused(tuple(unknown))
    size = sample_plan(spec)
    if isinstance(size, Problem):
        return Refused((size,))
    try:
        specification = specification_of(spec, size, facts.slots[spec.model])
    except ValueError as error:
        shares = [arm.weight_percent for arm in spec.arms]
        return Refused((Problem(("spec", "arms"), shares, "shares that leave a thousandth for each", str(error)),))
    units = facts.measured
    if spec.expected_units_per_day is not None:
        units = DailyUnits(per_day=float(spec.expected_units_per_day), source="spec")
    traffic = traffic_of(specification, units.per_day) if units else None
    problems = _unreachable(spec, size, specification, traffic, units)
    if problems:
        return Refused(tuple(problems))
    plan = _plan(spec, size, specification, traffic, units)
    behind = tuple(other.name for other in facts.active if {*other.arms} & {arm.slot for arm in spec.arms})
    message = _waiting_message(spec, facts, behind)
    if message:
        return Queued(spec=spec, specification=specification, plan=plan, behind=behind, message=message)
    return Admitted(spec=spec, specification=specification, plan=plan)


def plan_message(plan: Mapping[str, Any]) -> str:
    """Say what a stored plan promises: how many units, in which time, and how the traffic is known."""
    needed = f"{max(plan['required_per_arm'], plan['minimum_per_arm']):,} units per arm are needed"
    if plan["needed_seconds"] is None:
        return f"{needed}; the model's traffic is not known"
    units = from_plan(plan) or DailyUnits(per_day=plan["units_per_day"], source="spec")
    return f"{needed}; {units} give them in {_days(plan['needed_seconds'])} of {_days(plan['duration_seconds'])}"


def _unknown_names(spec: AbTestSpec, facts: AdmissionFacts) -> list[Problem]:
    if spec.model not in facts.slots:
        served = ", ".join(sorted(facts.slots)) or "nothing, since no model is served"
        return [Problem(("spec", "model"), spec.model, f"one of {served}" if facts.slots else served)]
    slots = facts.slots[spec.model]
    return [
        Problem(("spec", "arms", index, "slot"), arm.slot, f"one of {', '.join(slots)}, the slots of {spec.model}")
        for index, arm in enumerate(spec.arms)
        if arm.slot not in slots
    ]


def _waiting_message(spec: AbTestSpec, facts: AdmissionFacts, behind: Sequence[str]) -> str:
    reasons = [f"waits for {', '.join(behind)}, which came first"] if behind else []
    for slot in (arm.slot for arm in spec.arms):
        state = facts.slot_states.get(slot)
        if state is not None and state.serving_version is None:
            reasons.append(f"slot {slot} serves no version yet" + (f" ({state.problem})" if state.problem else ""))
        elif state is not None and state.ready_pods < 1:
            reasons.append(f"slot {slot} has no ready pod")
    return "; ".join(reasons)


def _unreachable(
    spec: AbTestSpec,
    size: SamplePlan,
    specification: ExperimentSpec,
    traffic: Traffic | None,
    units: DailyUnits | None,
) -> list[Problem]:
    """Say what cannot be had in the time."""
    if traffic is None or units is None:
        return [_traffic_unknown(spec, size, specification)] if spec.mode == "planned" else []
    problems: list[Problem] = []
    available = traffic.information_after(spec.duration_seconds)
    # A sample that is there in the last second is there; float sums may miss a whole unit by a hair.
    if size.required_n > available * (1.0 + 1e-9):
        effect = smallest_effect(
            specification.primary, size, specification.promotion_alpha, spec.power, math.floor(available)
        )
        allowed = "no effect in this time at this traffic" if effect is None else f"at least {effect:.12g} in this time"
        note = _remedy(spec, traffic, units, size.required_n, size.required_n / available)
        path = ("spec", "primary", "minimumEffect")
        problems.append(Problem(path, spec.primary.minimum_effect, allowed, note))
    smallest = traffic.smallest_arm_after(spec.duration_seconds)
    if spec.min_sample_size > smallest * (1.0 + 1e-9):
        allowed = f"at most {math.floor(smallest)} in this time"
        note = _remedy(spec, traffic, units, spec.min_sample_size, spec.min_sample_size / smallest, smallest=True)
        problems.append(Problem(("spec", "minSampleSize"), spec.min_sample_size, allowed, note))
    return problems


def _remedy(
    spec: AbTestSpec, traffic: Traffic, units: DailyUnits, needed: int, growth: float, *, smallest: bool = False
) -> str:
    """Say what is needed, what there is, and what would do."""
    arm = "in the smallest arm" if smallest else "per arm"
    seconds = traffic.seconds_needed(0.0 if smallest else needed, needed if smallest else 0.0)
    remedies = [f"{_count(units.per_day * growth)} units per day"]
    if seconds <= LONGEST_DURATION_SECONDS:
        remedies.insert(0, f"durationSeconds of {math.ceil(seconds)}")
    return (
        f"{_count(needed)} units {arm} are needed; with {units} and these shares that "
        f"takes {_days(seconds)}, durationSeconds gives {_days(spec.duration_seconds)}; "
        f"{' or '.join(remedies)} would do"
    )


def _traffic_unknown(spec: AbTestSpec, size: SamplePlan, specification: ExperimentSpec) -> Problem:
    of_one = traffic_of(specification, 1.0)
    seconds = float(spec.duration_seconds)
    needed = max(
        size.required_n / of_one.information_after(seconds),
        spec.min_sample_size / of_one.smallest_arm_after(seconds),
    )
    note = (
        f"no outcomes or requests are known to measure the model's traffic by; {_count(size.required_n)} units per arm "
        f"in {_days(seconds)} need {_count(needed)} units per day"
    )
    return Problem(("spec", "expectedUnitsPerDay"), ABSENT, "a whole number > 0", note)


def _plan(
    spec: AbTestSpec,
    size: SamplePlan,
    specification: ExperimentSpec,
    traffic: Traffic | None,
    units: DailyUnits | None,
) -> AdmissionPlan:
    return AdmissionPlan(
        required_per_arm=size.required_n,
        planned_per_arm=specification.planned_n,
        minimum_per_arm=spec.min_sample_size,
        fixed_per_arm=size.fixed_n,
        expected_per_arm=size.expected_n,
        expected_per_arm_without_effect=size.expected_n_null,
        inflation=size.inflation,
        units_per_day=units.per_day if units else None,
        units_per_day_source=units.source if units else "unknown",
        measured_seconds=units.seconds if units else None,
        needed_seconds=traffic.seconds_needed(size.required_n, spec.min_sample_size) if traffic else None,
        duration_seconds=spec.duration_seconds,
    )


def _count(value: float) -> str:
    return f"{math.ceil(value - 1e-6):,}"


def _days(seconds: float) -> str:
    days = seconds / SECONDS_PER_DAY
    return f"{days:,.1f} days" if days >= 2.0 else f"{seconds:,.0f} s"
