"""Whose turn it is: a model has one experiment at a time, the others wait in the order in which they were created."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ml.contracts import LABEL_DOMAIN
from ml.contracts.abtest import write_spec
from ml.contracts.storable import why_not_storable
from ml.controller.admission import ActiveExperiment, Admitted, Refused
from ml.controller.daily_units import DailyUnits
from ml.controller.observer import Failure, Measured, Told
from ml.controller.ports import AbTest
from ml.controller.state import ExperimentState
from ml.events.types import ExperimentCreated, ExperimentRefused
from ml.experiments.document import to_document

CREATOR_ANNOTATION: Final = f"{LABEL_DOMAIN}/created-by"
"""Who created the object, if that was not somebody with kubectl."""
_UNKNOWN_CREATOR: Final = "kubectl"


@dataclass
class Known:
    """What this process remembers of an experiment."""

    uid: str
    state: ExperimentState = field(default_factory=ExperimentState)
    position: int = 0
    is_read: bool = False
    unreadable: str = ""
    """Why the newest events of its stream could not be read, though the store answered."""
    failure: Failure | None = None
    """What could not be read of it when its metrics were asked for last."""
    told: Told = field(default_factory=Told)


@dataclass
class Tick:
    """One tick: what all its experiments share."""

    now: float
    tests: Mapping[str, AbTest]
    declared: Mapping[str, tuple[str, ...]]
    measured: Measured = field(default_factory=Measured)


def earlier_experiments(
    everybody: Iterable[Known], known: Known, model: str, tick: Tick
) -> Sequence[ActiveExperiment] | None:
    """Return the experiments of the model that come first; None while one that may be among them is not known."""
    mine = age(known, tick)
    earlier: list[ActiveExperiment] = []
    for other in everybody:
        if other is known:
            continue
        if not other.is_read:
            if model_of(other, tick) in (model, ""):
                return None
            continue
        if other.state.is_final or model_of(other, tick) != model:
            continue
        if other.state.promise is not None or (other.uid in tick.tests and age(other, tick) < mine):
            name = tick.tests[other.uid].name if other.uid in tick.tests else other.state.promised.name
            arms = other.state.specification.arms if other.state.promise is not None else _slots(tick)
            earlier.append(ActiveExperiment(name=name, arms=arms))
    return earlier


def age(known: Known, tick: Tick) -> tuple[float, str]:
    """Return what experiments are sorted by: the oldest first, those without an object before all."""
    test = tick.tests.get(known.uid)
    return (test.created_at if test is not None else 0.0, known.uid)


def model_of(known: Known, tick: Tick) -> str:
    """Return the model of an experiment; empty if that is not known yet."""
    if known.state.promise is not None:
        return known.state.promise.model
    test = tick.tests.get(known.uid)
    return str(test.spec.get("model", "")) if test is not None else ""


def _slots(tick: Tick) -> tuple[str, ...]:
    """Return the slots of an experiment that is not admitted yet; every experiment has the stable one."""
    return tuple(slot for slots in tick.declared.values() for slot in slots)


def _creator(test: AbTest) -> str:
    """Return who created the object; what no store can hold is not what a program of the platform wrote."""
    name = test.annotations.get(CREATOR_ANNOTATION, _UNKNOWN_CREATOR)
    return _UNKNOWN_CREATOR if why_not_storable(name) else name


def refused(test: AbTest, model: str, verdict: Refused, measured: DailyUnits | None, now: float) -> ExperimentRefused:
    """Return the event that a test was not admitted."""
    return ExperimentRefused(
        at=now,
        experiment=test.uid,
        name=test.name,
        namespace=test.namespace,
        model=model,
        spec=dict(test.spec),
        problems=tuple(str(problem) for problem in verdict.problems),
        measured=to_document(measured) if measured else {},
        by=_creator(test),
    )


def created(test: AbTest, admitted: Admitted, salt_index: int, now: float) -> ExperimentCreated:
    """Return the event that fixes what was admitted."""
    return ExperimentCreated(
        at=now,
        experiment=test.uid,
        name=test.name,
        namespace=test.namespace,
        model=admitted.spec.model,
        spec=write_spec(admitted.spec),
        specification=to_document(admitted.specification),
        plan=to_document(admitted.plan),
        salt_index=salt_index,
        by=_creator(test),
    )
