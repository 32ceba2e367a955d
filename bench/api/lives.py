"""Streams of made-up experiments: real admission, real decisions, real chains of hashes."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ml.contracts import STABLE_SLOT
from ml.controller.admission import AdmissionFacts, Admitted, admit
from ml.events.decisions import Chain, record
from ml.events.types import (
    FINAL_PHASES,
    AnyEvent,
    CommandAction,
    CommandHandled,
    CommandIssued,
    EpochStarted,
    ExperimentCreated,
    Phase,
    PhaseEntered,
    SequenceStarted,
    StepDone,
)
from ml.experiments.decision import Decision, decide
from ml.experiments.document import to_document
from ml.experiments.history import EpochRecord, History
from ml.experiments.ratio import RatioSums

NAMESPACE: Final = "bench"
CANDIDATE: Final = "candidate-a"
EVENTS_EACH: Final = 96
"""In the stream of every experiment that has ended."""
LONG_DECISIONS: Final = 40_000
"""A fortnight of looks, one every 30 s."""
METRICS: Final = {"conversion": 0.1, "clicked": 0.3, "rated": 0.5, "latency": 0.02, "errors": 0.01, "correct": 0.9}
_STARTED_AT: Final = 1_790_000_000.0
_LOOK_SECONDS: Final = 30.0
_UNITS_PER_LOOK: Final = 400
_RAMP_STEPS: Final = 20
_LONG_RAMP_STEPS: Final = 4
_INTERVENTIONS: Final[tuple[CommandAction, ...]] = ("pause", "resume")
_SPEC: Final[dict[str, Any]] = {
    "primary": {"name": "conversion", "aggregation": "any", "minimumEffect": 0.02, "baseline": 0.1},
    "secondary": [{"name": "clicked"}, {"name": "rated"}],
    "expectedUnitsPerDay": 1_000_000,
}


@dataclass(frozen=True, kw_only=True)
class Life:
    """The stream of one experiment."""

    uid: str
    model: str
    phase: Phase
    events: Sequence[AnyEvent]

    @property
    def created(self) -> ExperimentCreated:
        """How it began."""
        first = self.events[0]
        if not isinstance(first, ExperimentCreated):
            raise TypeError(f"{self.uid} begins with {first.type}: allowed is ExperimentCreated")
        return first


def short_life(uid: str, model: str, phase: Phase) -> Life:
    """Return an experiment of `EVENTS_EACH` events: a ramp, looks, a pause by hand and, in a final phase, its end."""
    head, tail = _head(uid, model), _tail(phase)
    looks = _short_looks()[: EVENTS_EACH - len(head) - len(tail)]
    return Life(uid=uid, model=model, phase=phase, events=[*head, *looks, *tail])


def long_life(uid: str, model: str) -> Life:
    """Return a running experiment of `LONG_DECISIONS` decisions.

    Only one of a hundred is computed anew; between, it is repeated with its time and chained as any other, since all
    would take minutes.
    """
    looks = _looks(LONG_DECISIONS, ramp_steps=_LONG_RAMP_STEPS, decided_each=100)
    events = [*_head(uid, model), *looks, *_tail("Running")]
    return Life(uid=uid, model=model, phase="Running", events=events)


@functools.cache
def _short_looks() -> Sequence[AnyEvent]:
    """Return what no name appears in: it is the same for all experiments with the same promises."""
    return tuple(_looks(EVENTS_EACH, ramp_steps=_RAMP_STEPS, decided_each=1))


def _admitted(model: str) -> Admitted:
    admission = admit({"model": model, **_SPEC}, AdmissionFacts(slots={model: (STABLE_SLOT, CANDIDATE)}))
    if not isinstance(admission, Admitted):
        raise TypeError(f"the benchmark's spec is not admitted: {admission}")
    return admission


def _head(uid: str, model: str) -> list[AnyEvent]:
    admission = _admitted(model)
    return [
        ExperimentCreated(
            at=_STARTED_AT - 2,
            experiment=uid,
            name=f"test-{uid}",
            namespace=NAMESPACE,
            model=model,
            spec=admission.spec.model_dump(mode="json", by_alias=True),
            specification=to_document(admission.specification),
            plan=to_document(admission.plan),
            salt_index=3,
            by="ann",
        ),
        PhaseEntered(at=_STARTED_AT - 1, phase="Ramping", reason="Admitted"),
    ]


def _looks(count: int, *, ramp_steps: int, decided_each: int) -> Iterator[AnyEvent]:
    """Yield a ramp of weights and so many decisions over growing samples."""
    specification, chain, decision = _admitted("any_model").specification, Chain(), None
    epochs: list[EpochRecord] = []
    for look in range(count):
        at = _STARTED_AT + _LOOK_SECONDS * (look + 1)
        if look <= ramp_steps:
            share = 500 * (look + 1) // (ramp_steps + 1)
            weights = {STABLE_SLOT: 1000 - share, CANDIDATE: share}
            begun = EpochStarted(at=at - _LOOK_SECONDS + 1, index=look, weights=weights)
            epochs.append(EpochRecord(started_at=begun.at, weights=weights, units={}, metrics={}))
            yield begun
        epochs[-1] = _grown(epochs[-1], look - len(epochs) + 2)
        history = History(started_at=_STARTED_AT, epochs=tuple(epochs), last_data_at=at - 1)
        if decision is None or look % decided_each == 0 or look == count - 1:
            decision = decide(specification, history, at)
        made = record(chain, specification, history, _at(decision, at), {"outcomes": at - 1})
        chain = chain.after(made)
        yield made


def _at(decision: Decision, at: float) -> Decision:
    return decision if decision.at == at else replace(decision, at=at, look=None)


def _grown(epoch: EpochRecord, looks: int) -> EpochRecord:
    """Return an epoch after so many looks."""
    units = {arm: weight * _UNITS_PER_LOOK * looks // 1000 for arm, weight in epoch.weights.items()}
    metrics = {
        name: {arm: _hits(n, round(n * rate)) for arm, n in units.items() if n} for name, rate in METRICS.items()
    }
    return replace(epoch, units=units, metrics=metrics)


def _hits(n: int, hits: int) -> RatioSums:
    return RatioSums(n, hits, n, hits, n, hits)


def _tail(phase: Phase) -> list[AnyEvent]:
    at = _STARTED_AT + LONG_DECISIONS * _LOOK_SECONDS
    events: list[AnyEvent] = [PhaseEntered(at=at, phase="Running", reason="Ramped")]
    for number, action in enumerate(_INTERVENTIONS):
        command = f"command-{number}"
        events += [
            CommandIssued(at=at, command=command, action=action, by="ann", why="support sees complaints", source="api"),
            CommandHandled(at=at, command=command, accepted=True, message="done"),
        ]
    if phase not in FINAL_PHASES:
        return events
    promoted = phase == "Promoted"
    return [
        *events,
        SequenceStarted(
            at=at,
            sequence="promote" if promoted else "rollback",
            arm=CANDIDATE if promoted else None,
            outcome=phase,
        ),
        StepDone(at=at, step="weights"),
        StepDone(at=at, step="release"),
        PhaseEntered(at=at, phase=phase, reason="Ended", message="all steps are done"),
    ]
