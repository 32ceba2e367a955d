"""One batch of outcomes against the experiments it concerns: what to keep, what to answer. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ml.events.counting import CountedExperiment, IngestResult, Outcome, Status, Tally, Unit, count, problem_of
from ml.experiments.assignment import assignment_hashes

UnitKey = tuple[str, str]
"""Experiment and unit."""
_BEST_FIRST: Final[tuple[Status, ...]] = ("counted", "moved", "late", "holdout", "unassigned", "stored")


@dataclass
class Counted:
    """What counting a batch changed."""

    results: list[IngestResult]
    units: dict[UnitKey, Unit] = field(default_factory=dict[UnitKey, Unit])
    """New and changed ones."""
    tallies: dict[str, Tally] = field(default_factory=dict[str, Tally])
    """Per experiment."""


def sift(
    outcomes: Sequence[Outcome], now: float, oldest_at: float, known_ids: Callable[[str, str], bool]
) -> tuple[list[Outcome], dict[int, IngestResult]]:
    """Separate what can be kept from what is answered at once.

    Args:
        outcomes: as reported.
        now: our own time.
        oldest_at: older outcomes are not kept.
        known_ids: whether a model's outcome of this id was kept before.

    Returns:
        The outcomes to keep, in their order; and the answers to the others by their place in the batch.
    """
    answers: dict[int, IngestResult] = {}
    keep: list[Outcome] = []
    seen: set[tuple[str, str]] = set()
    for number, outcome in enumerate(outcomes):
        problem = problem_of(outcome, now, oldest_at)
        if problem is not None:
            answers[number] = IngestResult(id=outcome.id, status="refused", message=problem)
        elif (outcome.model, outcome.id) in seen or known_ids(outcome.model, outcome.id):
            answers[number] = IngestResult(id=outcome.id, status="duplicate", message="this id was reported before")
        else:
            seen.add((outcome.model, outcome.id))
            keep.append(outcome)
    return keep, answers


def unit_keys(experiments: Sequence[CountedExperiment], outcomes: Sequence[Outcome]) -> set[UnitKey]:
    """Return every unit that a batch may concern."""
    return {
        (experiment.id, unit)
        for experiment in experiments
        for outcome in outcomes
        if outcome.model == experiment.model and (unit := experiment.unit_of(outcome)) is not None
    }


def count_batch(
    experiments: Collection[CountedExperiment],
    units: Mapping[UnitKey, Unit],
    outcomes: Sequence[Outcome],
    now: float,
) -> Counted:
    """Count outcomes that were kept (see `sift`), in the order in which they happened."""
    counted = Counted(results=[])
    by_model: defaultdict[str, list[CountedExperiment]] = defaultdict(list)
    for experiment in experiments:
        by_model[experiment.model].append(experiment)
    hashes = {experiment.id: _hashes(experiment, outcomes) for experiment in experiments}
    results: dict[int, IngestResult] = {}
    for number in sorted(range(len(outcomes)), key=lambda index: outcomes[index].at):
        outcome = outcomes[number]
        answers: list[IngestResult] = []
        for experiment in by_model[outcome.model]:
            unit_name = experiment.unit_of(outcome)
            key = (experiment.id, unit_name or "")
            before = counted.units.get(key) or units.get(key)
            tally = counted.tallies.setdefault(experiment.id, Tally())
            user_hash = hashes[experiment.id].get(outcome.user_id or "")
            status, message, after = count(experiment, before, outcome, user_hash, now, tally)
            if after is not None and after is not before:
                counted.units[key] = after
            answers.append(IngestResult(id=outcome.id, status=status, message=message, experiment=experiment.id))
        nobody = IngestResult(id=outcome.id, status="stored", message="no experiment of this model counts outcomes now")
        results[number] = min(answers, key=lambda answer: _BEST_FIRST.index(answer.status), default=nobody)
    counted.results = [results[number] for number in range(len(outcomes))]
    return counted


def in_order(total: int, answers: Mapping[int, IngestResult], kept: Sequence[IngestResult]) -> list[IngestResult]:
    """Put the answers of `sift` and `count_batch` together again, in the order of the batch."""
    rest = iter(kept)
    return [answers[number] if number in answers else next(rest) for number in range(total)]


def _hashes(experiment: CountedExperiment, outcomes: Sequence[Outcome]) -> Mapping[str, int]:
    users = sorted({o.user_id for o in outcomes if o.user_id is not None and o.model == experiment.model})
    if not users or not experiment.by_user:
        return {}
    return dict(zip(users, assignment_hashes(users, experiment.salt).tolist(), strict=True))
