"""What is known of an experiment at this moment, as the API gives it and as the page and `mlp` show it.

One shape for everybody who looks: JSON in camel case, times in seconds since 1970, weights out of 1000.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from ml.events.types import FINAL_PHASES, Phase


class View(BaseModel):
    """A part of the results; newer servers may say more than this reader knows."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class PrimaryPlan(View):
    """The metric that decides, and how much is needed."""

    metric: str
    better: str
    minimum_effect: float
    planned_per_arm: int = Field(description="Units per arm at which the planned test ends.")


class ReasonView(View):
    """Why the newest decision was taken."""

    code: str
    message: str
    arm: str | None = None
    metric: str | None = None


class ValueView(View):
    """A metric of one arm over all epochs, as reported; comparisons are stratified by epoch and so may differ."""

    value: float
    n: int


class ArmView(View):
    """One slot of the experiment."""

    arm: str
    units: int
    values: dict[str, ValueView] = Field(default_factory=dict[str, ValueView])


class EvidenceView(View):
    """One test of the newest decision; see `ml.experiments.evidence.Evidence`."""

    metric: str
    arm: str
    role: str
    verdict: str
    method: str
    n_control: int = 0
    n_treatment: int = 0
    estimate: float | None = None
    standard_error: float | None = None
    statistic: float | None = None
    boundary: float | None = None
    low: float | None = Field(default=None, description="Lower end of the interval; null where it is open.")
    high: float | None = None
    p_value: float | None = None
    information_fraction: float | None = None
    alpha: float | None = None


class SampleRatioView(View):
    """Whether users are shared out as promised."""

    p_value: float
    alpha: float
    sound: bool


class PointView(View):
    """The primary metric at one decision."""

    at: float
    arm: str
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    needed: float | None = Field(default=None, description="Estimate from which on the arm would have been promoted.")
    information_fraction: float | None = None
    n_control: int = 0
    n_treatment: int = 0


class TrafficView(View):
    """Weights that came into force at a moment."""

    at: float
    weights: dict[str, int]


class ExperimentResults(View):
    """Everything about the state of an experiment that a person wants to see."""

    id: str
    name: str
    namespace: str
    model: str
    phase: Phase
    reason: str = ""
    message: str = ""
    by: str = ""
    control: str
    treatments: tuple[str, ...]
    weights: dict[str, int]
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    duration_seconds: float | None = None
    winner: str | None = None
    paused: bool = False
    mode: str
    primary: PrimaryPlan
    looked_at: float | None = None
    action: str | None = None
    reasons: tuple[ReasonView, ...] = ()
    arms: tuple[ArmView, ...] = ()
    evidence: tuple[EvidenceView, ...] = ()
    sample_ratio: SampleRatioView | None = None
    timeline: tuple[PointView, ...] = ()
    traffic: tuple[TrafficView, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.phase in FINAL_PHASES

    @property
    def fraction(self) -> float | None:
        """Share of the planned sample that the slowest treatment has; None before anything was counted."""
        known = [item.information_fraction for item in self.evidence if item.role == "primary"]
        shares = [share for share in known if share is not None]
        return min(shares) if shares else None

    def of_role(self, *roles: str) -> tuple[EvidenceView, ...]:
        """Return the evidence of some roles, in the order of the decision."""
        return tuple(item for item in self.evidence if item.role in roles)

    def document(self) -> dict[str, Any]:
        """Return the results as JSON data."""
        return self.model_dump(mode="json", by_alias=True)
