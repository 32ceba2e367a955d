"""A whole experiment without a cluster: counts drawn at random, decided by the real rule, recorded as real events."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np

from ml.events.decisions import Chain, record
from ml.events.ports import EpochOutcomes, OutcomeSums, Stored
from ml.events.types import (
    AnyEvent,
    CommandHandled,
    CommandIssued,
    EpochStarted,
    ExperimentCreated,
    Phase,
    PhaseEntered,
    experiment_stream,
)
from ml.experiments.decision import Decision, decide
from ml.experiments.document import to_document
from ml.experiments.history import EpochRecord, History
from ml.experiments.ratio import proportion_sums
from ml.experiments.specification import ExperimentSpec, Guardrail, PrimaryMetric, Ramp
from ml.reporting.experiment.build import DecisionFacts, EpochFacts, ExperimentFacts, PointFacts, results_of
from ml.reporting.experiment.results import ExperimentResults

START = 1_790_000_000.0
MODEL = "content_quality_model"


@dataclass(frozen=True, kw_only=True)
class World:
    """What is true, and how fast users come."""

    conversion: dict[str, float]
    slow: dict[str, float]
    failed: dict[str, float]
    users_per_look: int = 400
    requests_per_user: int = 3
    look_seconds: float = 1800.0


EQUAL = World(
    conversion={"stable": 0.10, "candidate-a": 0.103},
    slow={"stable": 0.012, "candidate-a": 0.015},
    failed={"stable": 0.004, "candidate-a": 0.004},
)

BETTER = World(conversion={"stable": 0.10, "candidate-a": 0.14}, slow=EQUAL.slow, failed=EQUAL.failed)


def specification(treatments: tuple[str, ...] = ("candidate-a",)) -> ExperimentSpec:
    return ExperimentSpec(
        control="stable",
        treatments=treatments,
        shares=(1.0 / (len(treatments) + 1),) * len(treatments),
        primary=PrimaryMetric(name="conversion", better="increase", minimum_effect=0.015, baseline=0.10),
        planned_n=16_000,
        guardrails=(
            Guardrail(name="latency", harmful="increase", against="limit", margin=0.05),
            Guardrail(name="errors", harmful="increase", against="limit", margin=0.05),
        ),
        duration_seconds=14 * 86_400.0,
        ramp=Ramp(seconds=6 * 3600.0, steps=10),
        minimum_n=500,
    )


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """The stream of an experiment and what it says."""

    name: str
    id: str
    spec: ExperimentSpec
    events: tuple[AnyEvent, ...]
    decisions: tuple[Decision, ...]
    epochs: tuple[EpochRecord, ...]
    phase: Phase
    now: float

    def stored(self) -> list[Stored]:
        stream = experiment_stream(self.id)
        return [Stored(stream=stream, position=k, event=event) for k, event in enumerate(self.events, 1)]

    def results(self) -> ExperimentResults:
        created = self.events[0]
        assert isinstance(created, ExperimentCreated)
        over = self.phase in ("Promoted", "RolledBack", "Inconclusive", "Invalid")
        facts = ExperimentFacts(
            id=self.id,
            name=self.name,
            namespace="mlplatform",
            model=MODEL,
            phase=self.phase,
            spec=created.spec,
            specification=created.specification,
            created_at=created.at,
            by=created.by,
            started_at=self.epochs[0].started_at if self.epochs else None,
            ended_at=self.now if over else None,
            weights=self.epochs[-1].weights if self.epochs else {},
        )
        sums = OutcomeSums(
            epochs={k: EpochOutcomes(units=e.units, metrics=e.metrics) for k, e in enumerate(self.epochs)},
            newest_at=self.now,
        )
        decisions = [DecisionFacts(at=d.at, decision=to_document(d)) for d in self.decisions]
        epochs = [EpochFacts(at=e.started_at, weights=e.weights) for e in self.epochs]
        last = decisions[-1] if decisions else None
        return results_of(facts, last, [PointFacts.of(made) for made in decisions], epochs, sums)


def simulate(
    name: str,
    world: World = EQUAL,
    *,
    looks: int = 60,
    seed: int = 5,
    spec: ExperimentSpec | None = None,
    start: float = START,
) -> Simulated:
    """Run an experiment for so many looks, or until it is decided."""
    spec = spec or specification()
    rng = np.random.default_rng(seed)
    identity = f"0c0ffee0-0000-4000-8000-{zlib.crc32(name.encode()):012d}"
    created = ExperimentCreated(
        at=start,
        experiment=identity,
        name=name,
        namespace="mlplatform",
        model=MODEL,
        spec={"model": MODEL, "arms": [{"slot": arm, "weightPercent": 100 / len(spec.arms)} for arm in spec.arms]},
        specification=to_document(spec),
        plan={"required_n": spec.planned_n},
        salt_index=3,
        by="ada",
    )
    events: list[AnyEvent] = [created, PhaseEntered(at=start, phase="Ramping", reason="admitted")]
    history, chain, decisions = History(started_at=start), Chain(), list[Decision]()
    phase: Phase = "Ramping"
    now = start
    for _ in range(looks):
        decision = decide(spec, history, now)
        made = record(chain, spec, history, decision, {})
        events.append(made)
        chain = chain.after(made)
        decisions.append(decision)
        if decision.look is not None:
            history = replace(history, looks=(*history.looks, decision.look))
        ended: Phase | None = _ENDS.get(decision.action)
        if ended is not None:
            phase = ended
            events.append(PhaseEntered(at=now, phase=ended, reason=decision.reasons[-1].code))
            break
        if decision.action == "ramp":
            epoch = EpochRecord(started_at=now, weights=decision.weights, units={}, metrics={})
            history = replace(history, epochs=(*history.epochs, epoch))
            events.append(EpochStarted(at=now, index=len(history.epochs) - 1, weights=dict(decision.weights)))
        now += world.look_seconds
        history = replace(
            history, epochs=(*history.epochs[:-1], _grown(history.epochs[-1], world, rng)), last_data_at=now
        )
        if phase == "Ramping" and now - start > spec.ramp.seconds:
            phase = "Running"
            events.append(PhaseEntered(at=now, phase=phase, reason="ramp_over"))
    events += _interventions(now)
    return Simulated(
        name=name,
        id=identity,
        spec=spec,
        events=tuple(events),
        decisions=tuple(decisions),
        epochs=history.epochs,
        phase=phase,
        now=now,
    )


_ENDS: dict[str, Phase] = {
    "promote": "Promoted",
    "roll back": "RolledBack",
    "inconclusive": "Inconclusive",
    "invalid": "Invalid",
}


def _interventions(now: float) -> list[AnyEvent]:
    return [
        CommandIssued(
            at=now - 7200, command="c1", action="pause", by="grace", why="gateway upgrade <script>", source="api"
        ),
        CommandHandled(at=now - 7199, command="c1", accepted=True, message="paused"),
        CommandIssued(at=now - 3600, command="c2", action="resume", by="grace", why="upgrade done", source="kubectl"),
        CommandHandled(at=now - 3599, command="c2", accepted=True, message="goes on"),
    ]


def _grown(epoch: EpochRecord, world: World, rng: np.random.Generator) -> EpochRecord:
    units = dict(epoch.units)
    metrics = {metric: dict(epoch.metrics.get(metric, {})) for metric in ("conversion", "latency", "errors")}
    arms = list(epoch.weights)
    shares = np.array([epoch.weights[arm] for arm in arms]) / 1000.0
    drawn: list[int] = rng.multinomial(world.users_per_look, shares).tolist()
    for arm, n in zip(arms, drawn, strict=True):
        if n == 0:
            continue
        units[arm] = units.get(arm, 0) + n
        requests = n * world.requests_per_user
        truth = {
            "conversion": (world.conversion[arm], n),
            "latency": (world.slow[arm], requests),
            "errors": (world.failed[arm], requests),
        }
        for metric, (rate, count) in truth.items():
            sums = proportion_sums(int(np.count_nonzero(rng.random(count) < rate)), count)
            metrics[metric][arm] = metrics[metric][arm] + sums if arm in metrics[metric] else sums
    return replace(epoch, units=units, metrics=metrics)
