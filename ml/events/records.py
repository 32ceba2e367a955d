"""What the read side answers with: rows of the projections, typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ml.events.types import Document, Phase

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class ExperimentRecord:
    """An experiment as its stream says it is; times are in seconds since 1970."""

    id: str
    name: str
    namespace: str
    model: str
    phase: Phase
    reason: str
    """Of the phase."""
    message: str
    created_at: float
    started_at: float | None
    """When its first weights were in force."""
    ended_at: float | None
    winner: str | None
    """Slot of the promoted treatment."""
    weights: Mapping[str, int]
    """Last seen in force by the gateway."""
    salt_index: int
    spec: Document
    specification: Document
    """Empty if it was refused."""
    plan: Document
    last_decision: DecisionRecord | None
    position: int
    """Of its newest event within its stream."""
    by: str
    problems: Sequence[str] = ()
    """Why it was refused."""


@dataclass(frozen=True, kw_only=True)
class DecisionHead:
    """One decision, without its evidence."""

    experiment: str
    position: int
    """Within the experiment's stream."""
    at: float
    action: str
    reasons: Sequence[str]
    """Codes."""
    weights: Mapping[str, int]
    sample_ratio_p: float | None
    hash: str


@dataclass(frozen=True, kw_only=True)
class DecisionRecord(DecisionHead):
    """One decision."""

    decision: Document
    """The whole decision with all its evidence."""


@dataclass(frozen=True, kw_only=True)
class DecisionText(DecisionHead):
    """One decision, to be passed on."""

    text: str
    """The whole decision with all its evidence, as JSON."""


@dataclass(frozen=True, kw_only=True)
class TimelinePoint:
    """What a picture over time shows of a decision."""

    position: int
    at: float
    evidence: Sequence[Document]
    """On the primary metric, one per treatment."""


@dataclass(frozen=True, kw_only=True)
class EventText:
    """An event of a stream in the newest version of its type, as JSON, to be passed on."""

    position: int
    text: str


@dataclass(frozen=True, kw_only=True)
class EpochView:
    """A stretch of time with the same weights."""

    index: int
    at: float
    weights: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class CommandRecord:
    """What somebody asked for, and what became of it."""

    command: str
    experiment: str
    position: int
    at: float
    action: str
    arm: str | None
    by: str
    why: str
    source: str
    accepted: bool | None
    """None while the controller has not answered."""
    message: str


@dataclass(frozen=True, kw_only=True)
class SlotView:
    """Which version a slot of a model serves."""

    slot: str
    model_version: int
    at: float


@dataclass(frozen=True, kw_only=True)
class VersionView:
    """A registered version of a model."""

    model_version: int
    run: str
    metrics: Mapping[str, float]
    at: float


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """A model, its versions (newest first), its slots and its champion."""

    name: str
    champion: int | None
    versions: Sequence[VersionView] = field(default_factory=tuple[VersionView, ...])
    slots: Sequence[SlotView] = field(default_factory=tuple[SlotView, ...])


@dataclass(frozen=True, kw_only=True)
class PipelineRun:
    """A run of a pipeline that ended."""

    pipeline: str
    run: str
    succeeded: bool
    details: Document
    at: float


@dataclass(frozen=True, kw_only=True)
class PipelineCounts:
    """How many runs of a pipeline have ended, and how."""

    succeeded: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Stretch(Generic[_T]):
    """A part of a sequence, and the position after which to go on; None at the end."""

    items: Sequence[_T]
    next_after: int | None


@dataclass(frozen=True)
class Page(Generic[_T]):
    """Some items, and where the next ones begin; `next_cursor` is None on the last page."""

    items: Sequence[_T]
    next_cursor: str | None
