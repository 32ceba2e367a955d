"""What a person asks for when asking for an experiment: the spec of the `ABTest` custom resource.

One description for everybody who takes or gives a spec: the custom resource definition is generated from it, the API
and `mlp` validate with it, the controller reads it. Names are camel case outside and snake case inside. What needs
knowledge of the platform (does the model exist, can the sample be reached) is decided at admission, not here.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from ml.contracts import DEFAULT_CANDIDATE_SLOT, STABLE_SLOT
from ml.contracts.problems import Problem, ProblemsError, problems_of

API_GROUP: Final = "mlplatform.dev"
API_VERSION: Final = "v1alpha1"
KIND: Final = "ABTest"
PLURAL: Final = "abtests"
LatencyEdge = Literal[5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000]
LATENCY_EDGES_MILLIS: Final[tuple[int, ...]] = get_args(LatencyEdge)
"""Edges that every gateway's latency histogram has; a latency guardrail counts requests above one, exactly."""
LARGEST_NUMBER: Final = 1e9
"""Of a metric's value; keeps squares and their sums far from where a double loses whole units."""
TOLERANCE: Final = 1e-6
"""Of sums of percentages."""
SMALLEST_SHARE_PERCENT: Final = 0.1
"""The gateway's weights are thousandths."""

# What JSON says must be what is meant: no number from a text, none from true or false.
Number = Annotated[float, Strict()]
Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]

Slot = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=16)]
ModelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*[a-z0-9]$", max_length=36)]
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
Unit = Literal["userHeader", "userCookie", "request"]
Direction = Literal["increase", "decrease"]
Aggregation = Literal["mean", "any", "sum"]


class Section(BaseModel):
    """A closed part of a spec."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, allow_inf_nan=False
    )


class Arm(Section):
    """One slot and the share of users that it gets once the ramp is over."""

    slot: Slot
    weight_percent: Number = Field(ge=SMALLEST_SHARE_PERCENT, lt=100, description="Final share; all arms sum to 100.")


class Ramp(Section):
    """How the treatments' shares grow: evenly, from the first moment."""

    duration_seconds: Whole = Field(default=3600, ge=0, le=2_592_000)
    steps: Whole = Field(default=60, ge=1, le=1000, description="One step adds at most 1 % of the traffic.")


class Outcome(Section):
    """A metric that applications report per user or request: a conversion, a correct answer, a rating."""

    name: MetricName
    aggregation: Aggregation = Field(
        default="mean",
        description="Per unit: `mean` of the reported values, `any` of them above 0, or their `sum`.",
    )


class Primary(Outcome):
    """The metric that decides about promotion."""

    better: Direction = "increase"
    minimum_effect: Number = Field(gt=0, le=LARGEST_NUMBER, description="Smallest absolute change worth finding.")
    baseline: Number = Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER, description="Expected value under control.")
    standard_deviation: Number | None = Field(
        default=None,
        gt=0,
        le=LARGEST_NUMBER,
        description="Of one unit; left out for a proportion, whose baseline determines it.",
    )


class LatencyGuardrail(Section):
    """The P95 of answers stays below a limit: at most 5 % of the requests take longer. Counted at the gateway."""

    kind: Literal["latency"] = "latency"
    name: MetricName = "latency"
    limit_millis: LatencyEdge = 100
    exceedance_percent: Number = Field(default=5.0, gt=0, lt=100)


class ErrorGuardrail(Section):
    """The share of requests that fail (5xx) stays below a limit. Counted at the gateway."""

    kind: Literal["errors"] = "errors"
    name: MetricName = "errors"
    limit_percent: Number = Field(default=5.0, gt=0, lt=100)


class OutcomeGuardrail(Outcome):
    """A reported metric does not get worse than control's by more than a share of control's value."""

    kind: Literal["outcome"] = "outcome"
    harmful: Direction = "decrease"
    margin_percent: Number = Field(default=10.0, ge=0, le=1000)
    proof: Flag = Field(default=False, description="Promotion needs safety shown, not only no harm seen.")


Guardrail = Annotated[LatencyGuardrail | ErrorGuardrail | OutcomeGuardrail, Field(discriminator="kind")]
ACCURACY: Final = OutcomeGuardrail(name="correct")


class NoData(Section):
    """What to do while there is nothing to decide on. Missing data are never evidence."""

    stale_after_seconds: Whole = Field(default=120, ge=10, le=86_400)
    timeout_seconds: Whole = Field(default=3600, ge=10, le=2_592_000, description="Then it ends as inconclusive.")


class Approval(Section):
    """A person confirms a promotion before anything moves."""

    required: Flag = False
    timeout_seconds: Whole = Field(default=86_400, ge=60, le=2_592_000, description="Then it ends as inconclusive.")


class Shadow(Section):
    """Before users see the candidate it gets copies of requests, whose answers are dropped."""

    enabled: Flag = False
    duration_seconds: Whole = Field(default=600, ge=10, le=604_800)
    sample_percent: Number = Field(default=10.0, gt=0, le=100)


class AbTestSpec(Section):
    """An experiment on the live traffic of one model."""

    model: ModelName
    arms: tuple[Arm, ...] = Field(
        default=(Arm(slot=STABLE_SLOT, weight_percent=50), Arm(slot=DEFAULT_CANDIDATE_SLOT, weight_percent=50)),
        min_length=2,
        max_length=8,
        description="The first is control and must be `stable`; the others may be promoted.",
    )
    unit: Unit = Field(default="userHeader", description="What is assigned to an arm and counted once.")
    ramp: Ramp = Ramp()
    primary: Primary
    secondary: tuple[Outcome, ...] = Field(default=(), max_length=10)
    guardrails: tuple[Guardrail, ...] = Field(default=(LatencyGuardrail(), ErrorGuardrail(), ACCURACY), max_length=10)
    mode: Literal["planned", "openEnded"] = "planned"
    duration_seconds: Whole = Field(default=1_209_600, ge=60, le=31_536_000)
    expected_units_per_day: Whole | None = Field(
        default=None,
        gt=0,
        le=10**12,
        description="Users (or requests) of this model per day; measured, if a planned experiment leaves it out.",
    )
    significance_level: Number = Field(default=0.05, ge=0.0001, lt=0.5)
    power: Number = Field(default=0.8, ge=0.5, le=0.999)
    min_sample_size: Whole = Field(default=1000, ge=2, le=100_000_000)
    reconcile_interval_seconds: Whole = Field(default=30, ge=1, le=3600)
    attribution_window_seconds: Whole = Field(
        default=86_400, ge=1, le=2_592_000, description="Outcomes count this long after a unit was first seen."
    )
    no_data: NoData = NoData()
    approval: Approval = Approval()
    shadow: Shadow = Shadow()
    holdout_percent: Number = Field(
        default=0,
        ge=0,
        le=50,
        description="Share of users that stay on control and out of the comparison, in steps of 0.1.",
    )
    paused: Flag = Field(default=False, description="Keeps weights as they are and takes no decision.")

    @model_validator(mode="after")
    def _fits_together(self) -> AbTestSpec:
        problems = [
            *self._arm_problems(),
            *self._name_problems(),
            *self._aggregation_problems(),
            *self._primary_problems(),
            *self._time_problems(),
        ]
        if problems:
            raise ProblemsError(problems)
        return self

    @property
    def control(self) -> str:
        """The slot that the others are compared with."""
        return self.arms[0].slot

    @property
    def treatments(self) -> tuple[str, ...]:
        """The slots that may be promoted."""
        return tuple(arm.slot for arm in self.arms[1:])

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Every metric that applications have to report, each once."""
        named = [self.primary, *self.secondary, *(g for g in self.guardrails if isinstance(g, OutcomeGuardrail))]
        return tuple({outcome.name: outcome for outcome in reversed(named)}.values())[::-1]

    def _arm_problems(self) -> list[Problem]:
        problems: list[Problem] = []
        slots = [arm.slot for arm in self.arms]
        if slots[0] != STABLE_SLOT:
            problems.append(Problem(("arms", 0, "slot"), slots[0], f"{STABLE_SLOT}, the control"))
        if len(set(slots)) < len(slots):
            problems.append(Problem(("arms",), slots, "slots that differ"))
        total = sum(arm.weight_percent for arm in self.arms)
        if abs(total - 100) > TOLERANCE:
            weights = [arm.weight_percent for arm in self.arms]
            problems.append(Problem(("arms",), weights, "weightPercent that sum to 100", f"they sum to {total:g}"))
        if abs(self.holdout_percent * 10 - round(self.holdout_percent * 10)) > TOLERANCE:
            problems.append(Problem(("holdoutPercent",), self.holdout_percent, "a multiple of 0.1"))
        return problems

    def _name_problems(self) -> list[Problem]:
        problems: list[Problem] = []
        names = [guardrail.name for guardrail in self.guardrails]
        if len(set(names)) < len(names):
            problems.append(Problem(("guardrails",), names, "names that differ"))
        secondary = [outcome.name for outcome in self.secondary]
        if len({*secondary, self.primary.name}) <= len(secondary):
            problems.append(Problem(("secondary",), secondary, "names that differ, also from the primary's"))
        counted = {g.name for g in self.guardrails if not isinstance(g, OutcomeGuardrail)}
        shared = sorted(counted & {self.primary.name, *secondary})
        return [*problems, *(Problem(("guardrails",), name, "a name that no reported metric has") for name in shared)]

    def _aggregation_problems(self) -> list[Problem]:
        """The same metric is summed up in one way, wherever it is named."""
        known = {outcome.name: outcome.aggregation for outcome in (self.primary, *self.secondary)}
        return [
            Problem(("guardrails", index, "aggregation"), rail.aggregation, f"{known[rail.name]}, as elsewhere")
            for index, rail in enumerate(self.guardrails)
            if isinstance(rail, OutcomeGuardrail) and rail.aggregation != known.get(rail.name, rail.aggregation)
        ]

    def _primary_problems(self) -> list[Problem]:
        primary = self.primary
        if primary.standard_deviation is not None:
            return []
        if not 0 < primary.baseline < 1:
            allowed = "a number > 0 and < 1 unless standardDeviation is given"
            return [Problem(("primary", "baseline"), primary.baseline, allowed)]
        room = 1 - primary.baseline if primary.better == "increase" else primary.baseline
        if primary.minimum_effect > room:
            allowed = f"at most {room:g}, so that a proportion stays between 0 and 1 (or give standardDeviation)"
            return [Problem(("primary", "minimumEffect"), primary.minimum_effect, allowed)]
        return []

    def _time_problems(self) -> list[Problem]:
        problems: list[Problem] = []
        if self.ramp.duration_seconds >= self.duration_seconds:
            allowed = f"less than durationSeconds, which is {self.duration_seconds}"
            problems.append(Problem(("ramp", "durationSeconds"), self.ramp.duration_seconds, allowed))
        largest = max(arm.weight_percent for arm in self.arms[1:])
        if self.ramp.duration_seconds and largest > self.ramp.steps + 1:
            allowed = f"at least {math.ceil(largest) - 1}, so that a step moves at most 1 % of the users"
            problems.append(Problem(("ramp", "steps"), self.ramp.steps, allowed))
        if self.no_data.timeout_seconds < self.no_data.stale_after_seconds:
            allowed = f"at least staleAfterSeconds, which is {self.no_data.stale_after_seconds}"
            problems.append(Problem(("noData", "timeoutSeconds"), self.no_data.timeout_seconds, allowed))
        return problems


def read_spec(document: object) -> AbTestSpec:
    """Read a spec as it is written in JSON or YAML.

    Raises:
        ProblemsError: all that is wrong; paths begin with `spec`.
    """
    try:
        return AbTestSpec.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        raise ProblemsError(problems_of(error, AbTestSpec, "spec")) from error


def write_spec(spec: AbTestSpec) -> dict[str, Any]:
    """Return a spec as JSON data, in camel case, with every default filled in."""
    return spec.model_dump(mode="json", by_alias=True, exclude_none=True)
