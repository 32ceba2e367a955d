"""The events of an experiment's life, as they are stored: facts in the past tense, never changed afterwards.

Each type has a `version`; an older stored form is lifted to the newest by `ml.events.upcasting` before it is read. The
state of an experiment is nothing but the fold of its stream (`ml.controller.fold`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ml.contracts.abtest_status import Phase

FINAL_PHASES: Final = frozenset({"Promoted", "RolledBack", "Inconclusive", "Invalid", "Cancelled"})
CommandAction = Literal["pause", "resume", "stop", "approve", "promote", "rollback"]
Document = dict[str, Any]


class Event(BaseModel):
    """A fact; `at` is in seconds since 1970, by the clock of whoever recorded it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    at: float


class ExperimentCreated(Event):
    """An `ABTest` was admitted: its promises are fixed from here on."""

    type: Literal["ExperimentCreated"] = "ExperimentCreated"
    version: Literal[1] = 1
    experiment: str
    """The id: the uid of the `ABTest` object, which is also the name of the stream's tail."""
    name: str
    namespace: str
    model: str
    spec: Document
    """The `ABTest` spec as asked for, camel case, defaults filled in."""
    specification: Document
    """The `ml.experiments` specification that every decision uses (`document.to_document`)."""
    plan: Document
    """Required sample and expected duration at admission."""
    salt_index: int
    """By which salt users are hashed; see `ml.contracts.experiment_salt`."""
    by: str


class ExperimentRefused(Event):
    """An `ABTest` was not admitted; the problems say field, value and what is allowed."""

    type: Literal["ExperimentRefused"] = "ExperimentRefused"
    version: Literal[1] = 1
    experiment: str
    name: str
    namespace: str
    model: str
    spec: Document
    problems: tuple[str, ...]
    measured: Document = Field(default_factory=dict)
    """Units per day, source and seconds, if they were measured for this: all that the refusal took from outside."""
    by: str


class PhaseEntered(Event):
    """The experiment moved on."""

    type: Literal["PhaseEntered"] = "PhaseEntered"
    version: Literal[1] = 1
    phase: Phase
    reason: str
    message: str = ""


class EpochStarted(Event):
    """The gateway was seen to have new weights; `at` is when it was seen."""

    type: Literal["EpochStarted"] = "EpochStarted"
    version: Literal[1] = 1
    index: int = Field(ge=0)
    weights: dict[str, int]


class DecisionMade(Event):
    """The decision function spoke. All its inputs can be rebuilt from the stream; see `ml.events.decisions`."""

    type: Literal["DecisionMade"] = "DecisionMade"
    version: Literal[1] = 1
    inputs: Document
    """What changed in the history since the decision before: `ml.events.decisions.HistoryChange`."""
    decision: Document
    """The decision (`document.to_document`)."""
    input_hash: str
    """SHA-256 of the canonical JSON of specification, whole history and time."""
    previous_hash: str
    """`hash` of the decision before; of the first: 64 zeros."""
    hash: str
    """SHA-256 over previous_hash, input_hash, inputs, decision and cursors."""
    cursors: Document = Field(default_factory=dict)
    """How far metric sources were read, so that nothing is counted twice after a restart."""


class CommandIssued(Event):
    """A person (or a program in a person's name) asked for something."""

    type: Literal["CommandIssued"] = "CommandIssued"
    version: Literal[1] = 1
    command: str
    """Id of the command; the same id twice is the same command."""
    action: CommandAction
    arm: str | None = None
    by: str
    why: str
    source: Literal["api", "kubectl", "controller"]

    @property
    def asked(self) -> tuple[CommandAction, str | None, str]:
        """What is asked for: action, arm and reason. Two with one id have to agree in it."""
        return self.action, self.arm, self.why


class CommandHandled(Event):
    """The controller accepted or refused a command."""

    type: Literal["CommandHandled"] = "CommandHandled"
    version: Literal[1] = 1
    command: str
    accepted: bool
    message: str


class SequenceStarted(Event):
    """A promotion or a rollback was begun; its steps are idempotent and are repeated until each is done."""

    type: Literal["SequenceStarted"] = "SequenceStarted"
    version: Literal[1] = 1
    sequence: Literal["promote", "rollback"]
    arm: str | None
    """The treatment to promote; None when all goes back to control."""
    outcome: Phase
    """Final phase once all steps are done."""
    details: Document = Field(default_factory=dict)
    """What the steps need and must not be read again later, the promoted version for example."""


class StepDone(Event):
    """One step of the running sequence was seen to be in effect."""

    type: Literal["StepDone"] = "StepDone"
    version: Literal[1] = 1
    step: str
    details: Document = Field(default_factory=dict)


ExperimentEvent = Annotated[
    ExperimentCreated
    | ExperimentRefused
    | PhaseEntered
    | EpochStarted
    | DecisionMade
    | CommandIssued
    | CommandHandled
    | SequenceStarted
    | StepDone,
    Field(discriminator="type"),
]


class ModelRegistered(Event):
    """A version of a model was registered."""

    type: Literal["ModelRegistered"] = "ModelRegistered"
    version: Literal[1] = 1
    model: str
    model_version: int
    run: str
    metrics: dict[str, float] = Field(default_factory=dict)


class ModelDeployed(Event):
    """A slot began to serve a version."""

    type: Literal["ModelDeployed"] = "ModelDeployed"
    version: Literal[1] = 1
    model: str
    slot: str
    model_version: int


class ModelPromoted(Event):
    """A version became the champion."""

    type: Literal["ModelPromoted"] = "ModelPromoted"
    version: Literal[1] = 1
    model: str
    model_version: int
    previous_version: int | None
    experiment: str | None
    by: str


class PipelineRan(Event):
    """A pipeline run ended."""

    type: Literal["PipelineRan"] = "PipelineRan"
    version: Literal[1] = 1
    pipeline: str
    run: str
    succeeded: bool
    details: Document = Field(default_factory=dict)


ModelEvent = Annotated[ModelRegistered | ModelDeployed | ModelPromoted | PipelineRan, Field(discriminator="type")]
AnyEvent = ExperimentEvent | ModelEvent
EXPERIMENT_EVENTS: Final[TypeAdapter[ExperimentEvent]] = TypeAdapter(ExperimentEvent)
MODEL_EVENTS: Final[TypeAdapter[ModelEvent]] = TypeAdapter(ModelEvent)


EXPERIMENT_PREFIX: Final = "experiment-"


def experiment_stream(experiment: str) -> str:
    """Return the stream of an experiment."""
    return f"{EXPERIMENT_PREFIX}{experiment}"


def model_stream(model: str) -> str:
    """Return the stream of a model."""
    return f"model-{model}"


def pipeline_run_stream(run: str) -> str:
    """Return the stream of one pipeline run: it holds one event, so that a run cannot be recorded twice."""
    return f"pipeline-run-{run}"
