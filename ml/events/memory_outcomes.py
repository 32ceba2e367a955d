"""The outcome store in memory: the same rules as on PostgreSQL, held to the same tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from ml.contracts.abtest import AbTestSpec
from ml.events.batches import UnitKey, count_batch, in_order, sift, unit_keys
from ml.events.counting import CountedEpoch, CountedExperiment, IngestResult, Outcome, SumKey, Tally, Unit, joined
from ml.events.ports import EpochOutcomes, OutcomeSums, UnitsSeen
from ml.experiments.ratio import RatioSums


class MemoryOutcomeStore:
    """Outcomes that live as long as the object."""

    def __init__(self, clock: Callable[[], float] = time.time, retention_seconds: float = 90 * 86_400) -> None:
        self._clock = clock
        self._retention_seconds = retention_seconds
        self._experiments: dict[str, CountedExperiment] = {}
        self._units: dict[UnitKey, Unit] = {}
        self._totals: dict[str, Tally] = {}
        self._kept: dict[tuple[str, str], Outcome] = {}
        self._requests: dict[tuple[str, str], tuple[str | None, str | None]] = {}

    async def open_experiment(
        self, experiment: str, model: str, spec: Mapping[str, object], salt: str, started_at: float
    ) -> None:
        """Count outcomes of this model for the experiment from now on. Idempotent."""
        if experiment not in self._experiments:
            self._experiments[experiment] = CountedExperiment(
                id=experiment, model=model, spec=AbTestSpec.model_validate(spec), salt=salt, started_at=started_at
            )
            self._totals[experiment] = Tally()

    async def start_epoch(self, experiment: str, index: int, weights: Mapping[str, int], started_at: float) -> None:
        """From this moment new units belong to this epoch. Idempotent."""
        known = self._experiments.get(experiment)
        if known is None:
            raise ValueError(f"experiment={experiment!r}: allowed are those that `open_experiment` was called for")
        if all(epoch.index != index for epoch in known.epochs):
            epochs = sorted((*known.epochs, CountedEpoch(index, dict(weights), started_at)), key=lambda e: e.index)
            self._experiments[experiment] = replace(known, epochs=tuple(epochs))

    async def close_experiment(self, experiment: str, ended_at: float) -> None:
        """Count no more new units."""
        known = self._experiments.get(experiment)
        if known is not None and known.ended_at is None:
            self._experiments[experiment] = replace(known, ended_at=ended_at)

    async def ingest(self, outcomes: Sequence[Outcome]) -> Sequence[IngestResult]:
        """Take outcomes in and answer each, in the order given."""
        now = self._clock()
        keep, answers = sift(
            outcomes, now, now - self._retention_seconds, lambda model, name: (model, name) in self._kept
        )
        filled = joined(keep, self._requests)
        experiments = list(self._experiments.values())
        units = {key: self._units[key] for key in unit_keys(experiments, filled) if key in self._units}
        counted = count_batch(experiments, units, filled, now)
        # Nothing is kept before all is counted: as on PostgreSQL, all of a batch is taken in or none.
        for outcome in keep:
            self._kept[outcome.model, outcome.id] = outcome
            if outcome.request_id is not None:
                user, slot = self._requests.get((outcome.model, outcome.request_id), (None, None))
                known = (user or outcome.user_id, slot or outcome.slot)
                self._requests[outcome.model, outcome.request_id] = known
        self._units.update(counted.units)
        for experiment, tally in counted.tallies.items():
            self._totals[experiment].add(tally)
        return in_order(len(outcomes), answers, counted.results)

    def units(self, experiment: str) -> Mapping[str, Unit]:
        """Return what is known of each unit of an experiment (for tests)."""
        return {unit: known for (name, unit), known in self._units.items() if name == experiment}

    async def sums(self, experiments: Sequence[str]) -> Mapping[str, OutcomeSums]:
        """Return the sums of several experiments."""
        return {
            name: _sums(self._experiments[name], self._totals[name]) for name in experiments if name in self._totals
        }

    async def seen(self, model: str, *, by_user: bool, since: float) -> UnitsSeen:
        """Return the units that the outcomes of a model name since a moment, experiments or not."""
        named = [
            (unit, outcome.at)
            for outcome in self._kept.values()
            if outcome.model == model
            and outcome.at >= since
            and (unit := outcome.user_id if by_user else outcome.request_id) is not None
        ]
        return UnitsSeen(units=len({unit for unit, _ in named}), first_at=min((at for _, at in named), default=None))


def _sums(experiment: CountedExperiment, tally: Tally) -> OutcomeSums:
    newest_at = tally.newest_at if tally.newest_at > float("-inf") else None
    return assemble([epoch.index for epoch in experiment.epochs], tally.units, tally.sums, newest_at)


def assemble(
    epochs: Sequence[int],
    units: Mapping[tuple[int, str], int],
    rows: Mapping[SumKey, Sequence[Decimal]],
    newest_at: float | None,
) -> OutcomeSums:
    """Put counts and sums of an experiment together; each sum is rounded here and nowhere else."""
    metrics: dict[int, dict[str, dict[str, RatioSums]]] = {index: {} for index in epochs}
    for (epoch, arm, metric), (n, *rest) in rows.items():
        if n > 0:
            metrics[epoch].setdefault(metric, {})[arm] = RatioSums(int(n), *map(float, rest))
    return OutcomeSums(
        epochs={
            index: EpochOutcomes(
                units={arm: number for (epoch, arm), number in units.items() if epoch == index}, metrics=metrics[index]
            )
            for index in epochs
        },
        newest_at=newest_at,
    )
