"""From what the sources know to the history that a decision is based on. What is not known stays unknown.

Outcomes come as sums per epoch, summed anew by their store each time. Requests come in stretches of time and are added
up here: a cursor per slot says up to when its stretches were counted, so that none counts twice. A stretch counts in
the epoch in which it begins, even if it ends in the next: guardrails on requests compare a slot's own requests with a
fixed limit over all epochs, so the weights do not matter, and short ramps would otherwise have no requests at all.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ml.contracts.abtest import ErrorGuardrail, LatencyGuardrail
from ml.controller.dispersion import Dispersion, read_dispersion
from ml.controller.ports import RequestCounts, RequestWindow
from ml.controller.state import ExperimentState
from ml.events.ports import EpochOutcomes, OutcomeSums
from ml.experiments.history import EpochRecord, History
from ml.experiments.ratio import RatioSums, proportion_sums

OVERLAP_SECONDS: Final = 120.0
"""How far behind the newest counted stretch one of another slot may still arrive."""
_MOST_REQUESTS: Final = 1e12
"""In one stretch of time. No gateway answers more, and thousands of such stretches still add up exactly."""

_Sums = dict[tuple[int, str, str], RatioSums]
"""By epoch, metric and arm."""


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """The history to decide on, and how far the sources were read for it."""

    history: History
    cursors: Mapping[str, Any]


def requests_since(state: ExperimentState) -> float | None:
    """Return from when on requests are needed; None before the first epoch or if no guardrail needs them."""
    if state.started_at is None or not request_guardrails(state):
        return None
    read: Mapping[str, float] = state.cursors.get("requests", {})
    newest = max(read.values(), default=state.started_at)
    return max(state.started_at, newest - OVERLAP_SECONDS)


def request_guardrails(state: ExperimentState) -> tuple[LatencyGuardrail | ErrorGuardrail, ...]:
    """Return the guardrails that are counted at the gateway."""
    return tuple(item for item in state.spec.guardrails if isinstance(item, LatencyGuardrail | ErrorGuardrail))


def gather(
    state: ExperimentState, outcomes: OutcomeSums | None, requests: RequestWindow | None, now: float
) -> Gathered:
    """Return history and cursors for a decision now.

    Args:
        state: of an experiment with at least one epoch.
        outcomes: None if their store did not answer: what it said before still stands, and grows old.
        requests: None if the metrics store did not answer; likewise.
        now: seconds since 1970; stretches that end later (by another clock) wait.
    """
    before = state.chain.history()
    cursors = dict(state.cursors)
    counter = _Counter(state, before)
    counter.count(requests, now)
    newest = _finite(outcomes.newest_at) if outcomes is not None else cursors.get("outcomes")
    epochs: list[EpochRecord] = []
    for place, (index, epoch) in enumerate(state.settled_epochs.items()):
        found = _outcomes(state, outcomes, before, index, place)
        epochs.append(
            EpochRecord(
                started_at=epoch.at,
                weights=dict(epoch.weights),
                units={arm: found.units[arm] for arm in state.specification.arms if arm in found.units},
                metrics={**found.metrics, **counter.metrics(place)},
            )
        )
    history = History(
        started_at=state.epochs[0].at,
        epochs=tuple(epochs),
        looks=state.looks,
        dropped=state.dropped,
        last_data_at=_oldest(state, _counted_until(state, newest), counter.seen),
        variance_inflation={name: item.factor for name, item in counter.dispersion.items()},
    )
    cursors["outcomes"] = newest
    cursors["requests"] = counter.cursors
    cursors["seen"] = counter.seen
    cursors["dispersion"] = {name: item.document() for name, item in counter.dispersion.items()}
    return Gathered(history=history, cursors=cursors)


def _counted_until(state: ExperimentState, newest: float | None) -> float | None:
    """Return up to when outcomes can be counted: who comes while the weights are changing counts nowhere."""
    last = state.epochs[-1]
    return min(newest, last.at) if newest is not None and last.is_changing else newest


def _oldest(state: ExperimentState, outcomes_at: float | None, seen: Mapping[str, Mapping[str, float]]) -> float | None:
    """Return the newest moment up to which every source that is needed has spoken, of every arm that is left."""
    moments = [outcomes_at]
    for guardrail in request_guardrails(state):
        moments += [seen.get(guardrail.name, {}).get(arm) for arm in state.active]
    known = [moment for moment in moments if moment is not None]
    return min(known) if len(known) == len(moments) else None


def _outcomes(
    state: ExperimentState, outcomes: OutcomeSums | None, before: History | None, index: int, place: int
) -> EpochOutcomes:
    """Return an epoch's outcomes of the arms and metrics of the experiment, from the store or as last known."""
    names = [outcome.name for outcome in state.spec.outcomes]
    arms = state.specification.arms
    found = outcomes.epochs.get(index) if outcomes is not None else None
    if found is None:
        known = before.epochs[place] if outcomes is None and before is not None and place < len(before.epochs) else None
        found = EpochOutcomes(units=known.units if known else {}, metrics=known.metrics if known else {})
    metrics = {
        name: {arm: found.metrics[name][arm] for arm in arms if arm in found.metrics[name]}
        for name in names
        if name in found.metrics
    }
    return EpochOutcomes(units=found.units, metrics={name: sums for name, sums in metrics.items() if sums})


class _Counter:
    """Adds stretches of requests to what was counted before."""

    def __init__(self, state: ExperimentState, before: History | None) -> None:
        self._state = state
        self._starts = [epoch.at for epoch in state.settled_epochs.values()]
        self._guardrails = request_guardrails(state)
        self._sums: _Sums = {}
        self.cursors: dict[str, float] = dict(state.cursors.get("requests", {}))
        self.seen: dict[str, dict[str, float]] = {
            metric: dict(arms) for metric, arms in state.cursors.get("seen", {}).items()
        }
        stored: Mapping[str, Any] = state.cursors.get("dispersion", {})
        self.dispersion: dict[str, Dispersion] = {
            item.name: read_dispersion(stored.get(item.name, {})) for item in self._guardrails
        }
        names = set(self.dispersion)
        for index, epoch in enumerate(before.epochs if before is not None else ()):
            for metric in names & set(epoch.metrics):
                self._sums.update({(index, metric, arm): sums for arm, sums in epoch.metrics[metric].items()})

    def count(self, window: RequestWindow | None, now: float) -> None:
        """Add every stretch of the window that was not counted yet and is over."""
        arms = set(self._state.specification.arms)
        stretches = [item for item in (window.counts if window is not None else ()) if item.slot in arms]
        for stretch in sorted(stretches, key=lambda item: (item.ended_at, item.started_at)):
            if not _is_sound(stretch) or stretch.ended_at > now:
                continue
            if stretch.started_at < self.cursors.get(stretch.slot, self._starts[0]):
                continue
            self.cursors[stretch.slot] = stretch.ended_at
            self._add(stretch, bisect_right(self._starts, stretch.started_at) - 1)

    def metrics(self, epoch: int) -> dict[str, dict[str, RatioSums]]:
        """Return the sums of an epoch by metric and arm."""
        arms = self._state.specification.arms
        found = {
            item.name: {arm: self._sums[key] for arm in arms if (key := (epoch, item.name, arm)) in self._sums}
            for item in self._guardrails
        }
        return {name: sums for name, sums in found.items() if sums}

    def _add(self, stretch: RequestCounts, epoch: int) -> None:
        for guardrail in self._guardrails:
            hits = _hits(stretch, guardrail)
            if hits is None:
                continue
            requests = round(stretch.requests)
            sums = proportion_sums(min(round(hits), requests), requests)
            key = (epoch, guardrail.name, stretch.slot)
            known = self._sums.get(key)
            self._sums[key] = sums if known is None else known + sums
            self.seen.setdefault(guardrail.name, {})[stretch.slot] = stretch.ended_at
            self.dispersion[guardrail.name] = self.dispersion[guardrail.name].add(
                stretch.slot, epoch, sums.denominator, sums.numerator
            )


def _hits(stretch: RequestCounts, guardrail: LatencyGuardrail | ErrorGuardrail) -> float | None:
    """Return how many requests of a stretch count against a guardrail; None if that is not known."""
    hits = stretch.above.get(guardrail.limit_millis) if isinstance(guardrail, LatencyGuardrail) else stretch.failed
    return hits if hits is not None and math.isfinite(hits) and 0 <= hits <= stretch.requests else None


def _is_sound(stretch: RequestCounts) -> bool:
    numbers = (stretch.started_at, stretch.ended_at, stretch.requests)
    return (
        all(math.isfinite(number) for number in numbers)
        and 0 <= stretch.requests <= _MOST_REQUESTS
        and (stretch.ended_at > stretch.started_at)
    )


def _finite(moment: float | None) -> float | None:
    return moment if moment is not None and math.isfinite(moment) else None
