"""What each event means for the read models: statements for the tables that the queries read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from ml.events.decisions import canonical
from ml.events.ports import Stored
from ml.events.types import (
    EXPERIMENT_PREFIX,
    FINAL_PHASES,
    CommandHandled,
    CommandIssued,
    DecisionMade,
    Document,
    EpochStarted,
    ExperimentCreated,
    ExperimentRefused,
    ModelDeployed,
    ModelPromoted,
    ModelRegistered,
    PhaseEntered,
    PipelineRan,
    SequenceStarted,
)

Statement = tuple[LiteralString, Sequence[Any]]

_CREATE: Final = """
INSERT INTO experiments (id, name, namespace, model, phase, reason, message, created_at, ended_at,
    salt_index, spec, specification, plan, problems, by, position)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET phase = excluded.phase, reason = excluded.reason, message = excluded.message,
    ended_at = excluded.ended_at, salt_index = excluded.salt_index, spec = excluded.spec,
    specification = excluded.specification, plan = excluded.plan, problems = excluded.problems,
    position = excluded.position"""
_EPOCH: Final = """
INSERT INTO experiment_epochs VALUES (%s, %s, %s, %s)
ON CONFLICT (experiment, index) DO UPDATE SET at = excluded.at, weights = excluded.weights"""
_IN_FORCE: Final = "UPDATE experiments SET weights = %s, started_at = coalesce(started_at, %s) WHERE id = %s"
_PHASE: Final = """
UPDATE experiments SET phase = %s, reason = %s, message = %s, ended_at = %s,
    winner = CASE WHEN %s THEN promoting END WHERE id = %s"""
_COMMAND: Final = """
INSERT INTO commands (experiment, command, position, at, action, arm, by, why, source)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"""
_HANDLED: Final = "UPDATE commands SET accepted = %s, message = %s WHERE experiment = %s AND command = %s"
_DECISION: Final = "INSERT INTO decisions VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
_DECIDED: Final = "UPDATE experiments SET decision_position = %s WHERE id = %s"
_PROMOTING: Final = "UPDATE experiments SET promoting = %s WHERE id = %s"
_POSITION: Final = "UPDATE experiments SET position = %s WHERE id = %s"
_VERSION: Final = """
INSERT INTO model_versions VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (model, model_version) DO UPDATE SET run = excluded.run, metrics = excluded.metrics, at = excluded.at"""
_SLOT: Final = """
INSERT INTO model_slots VALUES (%s, %s, %s, %s)
ON CONFLICT (model, slot) DO UPDATE SET model_version = excluded.model_version, at = excluded.at"""
_CHAMPION: Final = """
INSERT INTO model_champions VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (model) DO UPDATE SET model_version = excluded.model_version, experiment = excluded.experiment,
    by = excluded.by, at = excluded.at"""
_RUN: Final = """
INSERT INTO pipeline_runs VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (pipeline, run) DO UPDATE SET succeeded = excluded.succeeded, details = excluded.details,
    at = excluded.at"""


@dataclass(frozen=True)
class Projection:
    """Some tables that are nothing but a function of the log."""

    name: str
    tables: tuple[LiteralString, ...]
    """All of them; a rebuild empties them first."""
    statements: Callable[[Stored], Sequence[Statement]]


def experiment_statements(stored: Stored) -> Sequence[Statement]:
    """Return what an event changes in the tables of experiments."""
    if not stored.stream.startswith(EXPERIMENT_PREFIX):
        return ()
    name = stored.stream.removeprefix(EXPERIMENT_PREFIX)
    return (*_of_experiment(name, stored), (_POSITION, (stored.position, name)))


def _of_experiment(name: str, stored: Stored) -> Sequence[Statement]:
    event, position = stored.event, stored.position
    match event:
        case ExperimentCreated() | ExperimentRefused():
            return [(_CREATE, _head(name, position, event))]
        case EpochStarted():
            weights = canonical(event.weights)
            return [(_EPOCH, (name, event.index, event.at, weights)), (_IN_FORCE, (weights, event.at, name))]
        case PhaseEntered():
            ended_at = event.at if event.phase in FINAL_PHASES else None
            promoted = event.phase == "Promoted"
            return [(_PHASE, (event.phase, event.reason, event.message, ended_at, promoted, name))]
        case DecisionMade():
            return [(_DECISION, _decision(name, position, event)), (_DECIDED, (position, name))]
        case CommandIssued():
            said = (event.at, event.action, event.arm, event.by, event.why, event.source)
            return [(_COMMAND, (name, event.command, position, *said))]
        case CommandHandled():
            return [(_HANDLED, (event.accepted, event.message, name, event.command))]
        case SequenceStarted():
            return [(_PROMOTING, (event.arm if event.sequence == "promote" else None, name))]
        case _:
            return []


def _head(name: str, position: int, event: ExperimentCreated | ExperimentRefused) -> Sequence[Any]:
    identity = (name, event.name, event.namespace, event.model)
    if isinstance(event, ExperimentRefused):
        phase = ("Invalid", "NotAdmitted", "; ".join(event.problems), event.at, event.at, 0)
        return (*identity, *phase, canonical(event.spec), "{}", "{}", list(event.problems), event.by, position)
    phase = ("Pending", "Admitted", "", event.at, None, event.salt_index)
    documents = (canonical(event.spec), canonical(event.specification), canonical(event.plan))
    return (*identity, *phase, *documents, list[str](), event.by, position)


def _decision(name: str, position: int, event: DecisionMade) -> Sequence[Any]:
    decision = event.decision
    given: list[Document] = decision.get("reasons") or []
    reasons = [str(reason.get("code")) for reason in given]
    ratio: Mapping[str, Any] = decision.get("sample_ratio") or {}
    action, weights = str(decision.get("action")), canonical(decision.get("weights") or {})
    return (name, position, event.at, action, reasons, weights, canonical(decision), ratio.get("p_value"), event.hash)


def model_statements(stored: Stored) -> Sequence[Statement]:
    """Return what an event changes in the tables of models and pipelines."""
    event = stored.event
    match event:
        case ModelRegistered():
            metrics = canonical(event.metrics)
            return [(_VERSION, (event.model, event.model_version, event.run, metrics, event.at))]
        case ModelDeployed():
            return [(_SLOT, (event.model, event.slot, event.model_version, event.at))]
        case ModelPromoted():
            return [(_CHAMPION, (event.model, event.model_version, event.experiment, event.by, event.at))]
        case PipelineRan():
            details = canonical(event.details)
            return [(_RUN, (event.pipeline, event.run, event.succeeded, details, event.at))]
        case _:
            return []


PROJECTIONS: Final[Mapping[str, Projection]] = {
    projection.name: projection
    for projection in (
        Projection("experiments", ("experiments", "experiment_epochs", "decisions", "commands"), experiment_statements),
        Projection("models", ("model_versions", "model_slots", "model_champions", "pipeline_runs"), model_statements),
    )
}
