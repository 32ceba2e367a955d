"""Puts the results of an experiment together from what the read models know."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ml.events.ports import OutcomeSums
from ml.events.records import CommandRecord
from ml.events.types import Phase
from ml.reporting.experiment.results import (
    ArmView,
    EvidenceView,
    ExperimentResults,
    PointView,
    PrimaryPlan,
    ReasonView,
    SampleRatioView,
    TrafficView,
    ValueView,
)

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ExperimentFacts:
    """An experiment as the read model has it; documents as in `ml.events.types.ExperimentCreated`."""

    id: str
    name: str
    namespace: str
    model: str
    phase: Phase
    spec: Document
    specification: Document
    created_at: float
    reason: str = ""
    message: str = ""
    by: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    winner: str | None = None
    paused: bool = False
    weights: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, kw_only=True)
class DecisionFacts:
    """A stored decision; the document as `ml.experiments.document.to_document` wrote it."""

    at: float
    decision: Document


@dataclass(frozen=True, kw_only=True)
class PointFacts:
    """What a picture over time needs of a stored decision."""

    at: float
    evidence: Sequence[Document]
    """On the primary metric."""

    @classmethod
    def of(cls, made: DecisionFacts) -> PointFacts:
        """Return the point of a whole decision."""
        return cls(at=made.at, evidence=[item for item in made.decision["evidence"] if item["role"] == "primary"])


@dataclass(frozen=True, kw_only=True)
class EpochFacts:
    """Weights that came into force."""

    at: float
    weights: Mapping[str, int]


def is_paused(commands: Iterable[CommandRecord]) -> bool:
    """Tell whether the newest accepted command of its kind was to pause."""
    taken = [item for item in commands if item.accepted and item.action in ("pause", "resume")]
    return bool(taken) and max(taken, key=lambda item: item.position).action == "pause"


def results_of(
    experiment: ExperimentFacts,
    last: DecisionFacts | None,
    timeline: Sequence[PointFacts],
    epochs: Sequence[EpochFacts],
    sums: OutcomeSums | None = None,
) -> ExperimentResults:
    """Return what is known of an experiment.

    Args:
        experiment: its record.
        last: its newest decision.
        timeline: of all its decisions, in order; of many, evenly spaced ones are enough.
        epochs: in order.
        sums: what applications reported; None leaves the values per arm out.
    """
    specification, spec = experiment.specification, experiment.spec
    newest = last.decision if last else None
    control, treatments, primary = _promised(specification, spec)
    return ExperimentResults(
        id=experiment.id,
        name=experiment.name,
        namespace=experiment.namespace,
        model=experiment.model,
        phase=experiment.phase,
        reason=experiment.reason,
        message=experiment.message,
        by=experiment.by,
        control=control,
        treatments=treatments,
        weights=dict(experiment.weights),
        created_at=experiment.created_at,
        started_at=experiment.started_at,
        ended_at=experiment.ended_at,
        duration_seconds=cast("float | None", specification.get("duration_seconds", spec.get("durationSeconds"))),
        winner=experiment.winner,
        paused=experiment.paused,
        mode=str(specification.get("mode", "planned")),
        primary=primary,
        looked_at=last.at if last else None,
        action=str(newest["action"]) if newest else None,
        reasons=tuple(ReasonView(**reason) for reason in newest["reasons"]) if newest else (),
        arms=_arms((control, *treatments), sums),
        evidence=tuple(_evidence(item) for item in newest["evidence"]) if newest else (),
        sample_ratio=_sample_ratio(specification, newest),
        timeline=tuple(_point(made.at, item, primary.better) for made in timeline for item in made.evidence),
        traffic=tuple(
            # All zero stands for weights that are being changed just now.
            TrafficView(at=epoch.at, weights=dict(epoch.weights))
            for epoch in epochs
            if any(epoch.weights.values())
        ),
    )


def _promised(specification: Document, spec: Document) -> tuple[str, tuple[str, ...], PrimaryPlan]:
    """Return arms and primary metric; a refused experiment has no specification, only the spec asked for."""
    if specification:
        metric = cast("Document", specification["primary"])
        plan = PrimaryPlan(
            metric=metric["name"],
            better=metric["better"],
            minimum_effect=metric["minimum_effect"],
            planned_per_arm=specification["planned_n"],
        )
        return str(specification["control"]), tuple(specification["treatments"]), plan
    arms = [str(arm.get("slot", "")) for arm in cast("list[Document]", spec.get("arms") or [])] or [""]
    asked = cast("Document", spec.get("primary") or {})
    plan = PrimaryPlan(
        metric=str(asked.get("name", "")),
        better=str(asked.get("better", "increase")),
        minimum_effect=_number(asked.get("minimumEffect")) or 0.0,
        planned_per_arm=0,
    )
    return arms[0], tuple(arms[1:]), plan


def _number(value: object) -> float | None:
    """Return a finite number of a document; None for an open end ("inf") and for what is no number."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def _ends(item: Document) -> tuple[float | None, float | None]:
    low, high = cast("Sequence[object]", item.get("interval") or (None, None))
    return _number(low), _number(high)


def _evidence(item: Document) -> EvidenceView:
    low, high = _ends(item)
    return EvidenceView(
        metric=item["metric"],
        arm=item["arm"],
        role=item["role"],
        verdict=item["verdict"],
        method=item["method"],
        n_control=item["n_control"],
        n_treatment=item["n_treatment"],
        estimate=_number(item["estimate"]),
        standard_error=_number(item["standard_error"]),
        statistic=_number(item["statistic"]),
        boundary=_number(item["boundary"]),
        low=low,
        high=high,
        p_value=_number(item["p_value"]),
        information_fraction=_number(item["information_fraction"]),
        alpha=_number(item["alpha"]),
    )


def _point(at: float, item: Document, better: str) -> PointView:
    sign = 1.0 if better == "increase" else -1.0
    boundary, standard_error = _number(item["boundary"]), _number(item["standard_error"])
    low, high = _ends(item)
    return PointView(
        at=at,
        arm=item["arm"],
        estimate=_number(item["estimate"]),
        low=low,
        high=high,
        needed=None if boundary is None or standard_error is None else sign * boundary * standard_error,
        information_fraction=_number(item["information_fraction"]),
        n_control=item["n_control"],
        n_treatment=item["n_treatment"],
    )


def _sample_ratio(specification: Document, newest: Document | None) -> SampleRatioView | None:
    test = cast("Document | None", newest.get("sample_ratio")) if newest else None
    if test is None:
        return None
    budget = cast("Document", specification.get("budget") or {})
    alpha = float(specification.get("alpha", 0.05)) * float(budget.get("sample_ratio", 0.1))
    p_value = float(test["p_value"])
    return SampleRatioView(p_value=p_value, alpha=alpha, sound=p_value > alpha)


def _arms(arms: Sequence[str], sums: OutcomeSums | None) -> tuple[ArmView, ...]:
    if sums is None:
        return ()
    found: list[ArmView] = []
    for arm in arms:
        units = 0
        totals: dict[str, tuple[float, float, int]] = {}
        for epoch in sums.epochs.values():
            units += epoch.units.get(arm, 0)
            for metric, by_arm in epoch.metrics.items():
                if arm in by_arm:
                    added, (numerator, denominator, n) = by_arm[arm], totals.get(metric, (0.0, 0.0, 0))
                    totals[metric] = numerator + added.numerator, denominator + added.denominator, n + added.n
        values = {
            metric: ValueView(value=numerator / denominator, n=n)
            for metric, (numerator, denominator, n) in totals.items()
            if denominator > 0
        }
        found.append(ArmView(arm=arm, units=units, values=values))
    return tuple(found)
