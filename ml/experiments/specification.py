"""What an experiment promises before it starts: arms, metrics, error budget, ramp and limits of time.

A specification is immutable and complete: together with the history it determines every decision. All fields
are checked at construction, so that a running experiment cannot meet a bad one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from ml.experiments import validation as check
from ml.experiments.spending import Spending

Direction = Literal["increase", "decrease"]
_DIRECTIONS: Final[tuple[Direction, ...]] = ("increase", "decrease")
TOTAL_WEIGHT: Final = 1000
"""Weights always sum to this, so that a growing share moves users one way only; one step is 0.1 %."""


@dataclass(frozen=True, kw_only=True)
class PrimaryMetric:
    """The metric that decides about promotion.

    Attributes:
        name: key of the metric in the history.
        better: the direction of improvement.
        minimum_effect: smallest absolute change worth finding, > 0.
        baseline: expected value under control.
        standard_deviation: of one unit; None for a proportion, whose baseline determines it.
    """

    name: str
    better: Direction
    minimum_effect: float
    baseline: float
    standard_deviation: float | None = None

    def __post_init__(self) -> None:
        _name("primary.name", self.name)
        check.choice("primary.better", self.better, _DIRECTIONS)
        check.positive("primary.minimum_effect", self.minimum_effect)
        if self.standard_deviation is None:
            check.probability("primary.baseline", self.baseline)
            end = self.baseline + (self.minimum_effect if self.better == "increase" else -self.minimum_effect)
            if not 0.0 <= end <= 1.0:
                raise ValueError(
                    f"primary.minimum_effect={self.minimum_effect}: allowed are changes of a proportion "
                    f"that stay inside 0 and 1 from the baseline {self.baseline}"
                )
        else:
            check.finite("primary.baseline", self.baseline)
            check.positive("primary.standard_deviation", self.standard_deviation)


@dataclass(frozen=True, kw_only=True)
class Guardrail:
    """A metric that must not get worse by more than a margin.

    Attributes:
        name: key of the metric in the history.
        harmful: the direction that does harm.
        against: "control" compares with the control arm; "limit" with a fixed value, `margin`.
        margin: accepted absolute harm against control (>= 0), or the limit itself.
        relative_margin: accepted harm as a share of control's value (0.1 is 10 %), against control only. The share is
            of the absolute value, so a control below zero has a margin too, and one of zero has none.
        test: "mean" for any metric (asymptotic, clustered by unit); "rate" for rare events that come one by
            one: exact at every count, compares the ratio of rates, so needs a relative margin only.
        proof: promotion needs the interval to lie inside the margin (non-inferiority shown), not only the
            absence of evidence of harm.
        weight: share of the rollback budget relative to other guardrails.
    """

    name: str
    harmful: Direction
    against: Literal["control", "limit"] = "control"
    margin: float = 0.0
    relative_margin: float = 0.0
    test: Literal["mean", "rate"] = "mean"
    proof: bool = False
    weight: float = 1.0

    def __post_init__(self) -> None:
        _name("guardrail.name", self.name)
        label = f"guardrail[{self.name}]"
        check.choice(f"{label}.harmful", self.harmful, _DIRECTIONS)
        check.choice(f"{label}.against", self.against, ("control", "limit"))
        check.choice(f"{label}.test", self.test, ("mean", "rate"))
        check.finite(f"{label}.margin", self.margin, minimum=None if self.against == "limit" else 0.0)
        check.finite(f"{label}.relative_margin", self.relative_margin, minimum=0.0, maximum=10.0)
        check.positive(f"{label}.weight", self.weight)
        if self.against == "limit" and self.relative_margin:
            raise ValueError(f"{label}.relative_margin={self.relative_margin}: allowed is 0 against a limit")
        exact_allowed = self.against == "control" and self.margin == 0.0 and self.harmful == "increase"
        if self.test == "rate" and not (exact_allowed and not self.proof):
            raise ValueError(
                f"{label}.test='rate': allowed is an increase against control with margin 0 "
                "(use relative_margin) and without proof"
            )


@dataclass(frozen=True, kw_only=True)
class ErrorBudget:
    """How the experiment's alpha is shared out; the shares sum to at most 1.

    The defaults give promotion what the upper tail of an ordinary two-sided test has, so that guardrails cost
    no power: they live off the lower tail.
    """

    promotion: float = 0.5
    rollback: float = 0.4
    sample_ratio: float = 0.1

    def __post_init__(self) -> None:
        parts = (self.promotion, self.rollback, self.sample_ratio)
        for name, part in zip(("promotion", "rollback", "sample_ratio"), parts, strict=True):
            check.finite(f"budget.{name}", part, above=0.0, below=1.0)
        if sum(parts) > 1.0 + 1e-9:
            raise ValueError(f"budget sums to {sum(parts)}: allowed is at most 1")


@dataclass(frozen=True, kw_only=True)
class Ramp:
    """How the treatments' weights grow: evenly over `seconds`, in `steps` equal steps, from the first moment."""

    seconds: float = 3600.0
    steps: int = 60

    def __post_init__(self) -> None:
        check.finite("ramp.seconds", self.seconds, minimum=0.0)
        check.whole("ramp.steps", self.steps, minimum=1, maximum=TOTAL_WEIGHT)


@dataclass(frozen=True, kw_only=True)
class ExperimentSpec:
    """The whole rule of an experiment.

    Attributes:
        control: name of the control arm.
        treatments: names of the arms that may be promoted, in the gateway's order.
        shares: final share of each treatment; control has the rest.
        primary: the deciding metric.
        guardrails: metrics that must not get worse.
        secondary: names of metrics reported once the primary is decided.
        mode: "planned" ends at planned_n and stops early by alpha spending; "open-ended" runs as long as one
            likes on confidence sequences.
        planned_n: units per arm at which the planned test ends; `planning.required_n` computes it. Open-ended
            sequences are tuned for it.
        alpha: of all false claims together: promotion, rollback and sample ratio.
        budget: how alpha is shared out.
        spending: alpha-spending function of the planned mode.
        minimum_n: no claim by approximate methods before this many units per arm.
        duration_seconds: the planned test ends then, even without planned_n; None for no limit.
        ramp: how weights grow.
        stale_after_seconds: without newer data than this the experiment holds.
        no_data_timeout_seconds: after holding this long it ends as inconclusive.
        futility_power: end as inconclusive when the conditional power at the planned effect falls below
            this; 0 never does.
        total_weight: weights of all arms together; what is missing to `TOTAL_WEIGHT` belongs to users that are
            held out: they meet control and are not counted.
    """

    control: str
    treatments: tuple[str, ...]
    shares: tuple[float, ...]
    primary: PrimaryMetric
    planned_n: int
    guardrails: tuple[Guardrail, ...] = ()
    secondary: tuple[str, ...] = ()
    mode: Literal["planned", "open-ended"] = "planned"
    alpha: float = 0.05
    budget: ErrorBudget = field(default_factory=ErrorBudget)
    spending: Spending = field(default_factory=Spending)
    minimum_n: int = 1000
    duration_seconds: float | None = None
    ramp: Ramp = field(default_factory=Ramp)
    stale_after_seconds: float = 120.0
    no_data_timeout_seconds: float = 3600.0
    futility_power: float = 0.0
    total_weight: int = TOTAL_WEIGHT

    def __post_init__(self) -> None:
        self._check_arms()
        self._check_metrics()
        check.choice("mode", self.mode, ("planned", "open-ended"))
        check.probability("alpha", self.alpha)
        check.whole("planned_n", self.planned_n, minimum=2)
        check.whole("minimum_n", self.minimum_n, minimum=2)
        if self.duration_seconds is not None:
            check.finite("duration_seconds", self.duration_seconds, above=self.ramp.seconds)
        check.positive("stale_after_seconds", self.stale_after_seconds)
        check.finite("no_data_timeout_seconds", self.no_data_timeout_seconds, minimum=self.stale_after_seconds)
        check.finite("futility_power", self.futility_power, minimum=0.0, below=0.5)
        check.whole("total_weight", self.total_weight, minimum=2, maximum=TOTAL_WEIGHT)

    def _check_arms(self) -> None:
        if not self.treatments:
            raise ValueError("treatments=(): allowed is at least one arm")
        arms = (self.control, *self.treatments)
        for arm in arms:
            _name("arm", arm)
        if len(set(arms)) != len(arms):
            raise ValueError(f"treatments={self.treatments}: allowed are names that differ, also from control")
        if len(self.shares) != len(self.treatments):
            raise ValueError(f"shares has {len(self.shares)} values: allowed is one per treatment")
        for arm, part in zip(self.treatments, self.shares, strict=True):
            check.finite(f"shares[{arm}]", part, above=0.0, below=1.0)
        if sum(self.shares) >= 1.0 - 1.0 / TOTAL_WEIGHT:
            raise ValueError(f"shares={self.shares} sum to {sum(self.shares)}: allowed is a rest for control")

    def _check_metrics(self) -> None:
        names = [guardrail.name for guardrail in self.guardrails]
        if len(set(names)) != len(names):
            raise ValueError(f"guardrails={names}: allowed are names that differ")
        for name in self.secondary:
            _name("secondary", name)
        if len(set(self.secondary)) != len(self.secondary) or self.primary.name in self.secondary:
            raise ValueError(f"secondary={self.secondary}: allowed are names that differ, also from the primary")

    @property
    def arms(self) -> tuple[str, ...]:
        """All arms in the gateway's order, control first."""
        return (self.control, *self.treatments)

    @property
    def promotion_alpha(self) -> float:
        """One-sided error of promoting one particular treatment that is no better."""
        return self.alpha * self.budget.promotion / len(self.treatments)

    @property
    def sample_ratio_alpha(self) -> float:
        """Error of declaring a sound assignment broken."""
        return self.alpha * self.budget.sample_ratio

    def is_over(self, seconds: float) -> bool:
        """Tell whether the duration has passed, so many seconds after the start."""
        return self.duration_seconds is not None and seconds >= self.duration_seconds

    def rollback_alpha(self, weight: float) -> float:
        """One-sided error of rolling one treatment back on one guardrail of the given weight.

        The primary itself counts as one more guardrail (of weight 1) against getting worse.
        """
        total = 1.0 + sum(guardrail.weight for guardrail in self.guardrails)
        return self.alpha * self.budget.rollback * weight / total / len(self.treatments)


def _name(field_name: str, value: str) -> None:
    if not value or value != value.strip():
        raise ValueError(f"{field_name}={value!r}: allowed is a text that is not empty, without spaces around it")
