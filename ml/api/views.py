"""What the API takes and gives about experiments: they themselves, their history, decisions and commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field

from ml.api.shapes import Body, Shape, Why
from ml.contracts.abtest import Slot
from ml.contracts.experiment_names import LONGEST_NAME, NAME_PATTERN
from ml.controller.daily_units import UnitsSource
from ml.events.records import DecisionHead, ExperimentRecord
from ml.events.types import CommandAction, Phase

EXAMPLE_SPEC: Final[dict[str, Any]] = {
    "model": "research_pattern_predictor",
    "arms": [{"slot": "stable", "weightPercent": 50}, {"slot": "candidate-a", "weightPercent": 50}],
    "primary": {"name": "conversion", "aggregation": "any", "minimumEffect": 0.02, "baseline": 0.1},
    "expectedUnitsPerDay": 20000,
}
ObjectName = Annotated[str, Field(pattern=NAME_PATTERN, max_length=LONGEST_NAME)]
SpecDocument = dict[str, Any]
"""Validated by admission, which says more about what is wrong than a schema can; `documentation` has its schema."""


class CreateRequest(Body):
    """Asks for an experiment."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "shorter-answers", "spec": EXAMPLE_SPEC, "why": "ticket 4711"}]}
    )
    name: ObjectName = Field(description="Of the `ABTest` object; not one that is there already.")
    spec: SpecDocument
    why: str = Field(default="", max_length=1000, description="The reason, for the record.")


class PlanView(Shape):
    """What an experiment needs, in users (or requests) per arm."""

    required_per_arm: int
    planned_per_arm: int
    minimum_per_arm: int
    expected_per_arm: int
    units_per_day: float | None
    units_per_day_source: UnitsSource = Field(
        description="As written; or as measured: users (or requests) in reported outcomes, requests at the gateway."
    )
    needed_seconds: float | None = Field(description="Until the sample is there; null if the traffic is not known.")
    duration_seconds: int


class CreatedView(Shape):
    """An experiment that was taken; the controller begins it."""

    id: str
    name: str
    namespace: str
    model: str
    phase: Phase
    queued_behind: tuple[str, ...] = Field(description="Experiments of the same slots that come first.")
    message: str
    plan: PlanView


class LastDecisionView(Shape):
    """The newest decision, in short."""

    at: float
    position: int
    action: str
    reasons: tuple[str, ...]
    hash: str


class ExperimentSummary(Shape):
    """An experiment in a list."""

    id: str
    name: str
    namespace: str
    model: str
    phase: Phase
    reason: str
    message: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    winner: str | None
    weights: dict[str, int]
    position: int = Field(description="Of the newest event in the experiment's stream; 0 before the first.")
    created_by: str
    last_decision: LastDecisionView | None


class ExperimentDetail(ExperimentSummary):
    """An experiment and what it promised."""

    spec: dict[str, Any]
    specification: dict[str, Any] = Field(description="What every decision uses; empty before admission.")
    plan: dict[str, Any]
    salt_index: int
    problems: tuple[str, ...] = Field(description="Why it was refused.")


class ExperimentPage(Shape):
    """Some experiments, newest first."""

    items: tuple[ExperimentSummary, ...]
    next_cursor: str | None = Field(description="For the parameter `cursor`; null on the last page.")


class StoredEvent(Shape):
    """An event and its place in the experiment's stream."""

    stream: str
    position: int
    event: dict[str, Any]


class HistoryPage(Shape):
    """Events of an experiment, in order; all of them replay to the same decisions."""

    items: tuple[StoredEvent, ...]
    next_after: int | None = Field(description="For the parameter `after`; null if there are no more for now.")


class DecisionView(Shape):
    """A decision with all its evidence."""

    position: int
    at: float
    action: str
    reasons: tuple[str, ...]
    weights: dict[str, int]
    sample_ratio_p: float | None
    hash: str
    decision: dict[str, Any]


class DecisionPage(Shape):
    """Decisions of an experiment, in order."""

    items: tuple[DecisionView, ...]
    next_after: int | None


class CommandRequest(Body):
    """Asks something of a running experiment."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"why": "support sees complaints"}]})
    why: Why
    arm: Slot | None = Field(
        default=None, description="Treatment to promote or roll back; left out: the only one, or all."
    )


class CommandReceipt(Shape):
    """A command that was recorded; the controller carries it out or refuses it within a reconcile."""

    command: str
    experiment: str
    action: CommandAction
    position: int = Field(description="Of the command in the experiment's stream.")


class CommandView(Shape):
    """What somebody asked for, and what became of it."""

    command: str
    position: int
    at: float
    action: str
    arm: str | None
    by: str
    why: str
    source: str
    accepted: bool | None = Field(description="null while the controller has not answered.")
    message: str


class CommandPage(Shape):
    """All commands of an experiment, in order."""

    items: tuple[CommandView, ...]


def summary_fields(record: ExperimentRecord) -> Mapping[str, Any]:
    """Return what a summary and a detail have in common."""
    last = record.last_decision
    return {
        "id": record.id,
        "name": record.name,
        "namespace": record.namespace,
        "model": record.model,
        "phase": record.phase,
        "reason": record.reason,
        "message": record.message,
        "created_at": record.created_at,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "winner": record.winner,
        "weights": dict(record.weights),
        "position": record.position,
        "created_by": record.by,
        "last_decision": None
        if last is None
        else LastDecisionView(
            at=last.at, position=last.position, action=last.action, reasons=tuple(last.reasons), hash=last.hash
        ),
    }


def detail_of(record: ExperimentRecord) -> ExperimentDetail:
    """Return an experiment with what it promised."""
    return ExperimentDetail(
        **summary_fields(record),
        spec=record.spec,
        specification=record.specification,
        plan=record.plan,
        salt_index=record.salt_index,
        problems=tuple(record.problems),
    )


def decision_head(record: DecisionHead) -> Mapping[str, Any]:
    """Return the fields of a `DecisionView` but the decision itself, as they are sent."""
    return {
        "position": record.position,
        "at": record.at,
        "action": record.action,
        "reasons": list(record.reasons),
        "weights": dict(record.weights),
        "sampleRatioP": record.sample_ratio_p,
        "hash": record.hash,
    }
