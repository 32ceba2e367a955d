"""What one reported outcome means for an experiment: pure rules, the same for every store.

A unit (a user, or a request) belongs to the epoch and arm in which it was first seen. Its outcomes count for the length
of the attribution window and only until it is seen in another arm. So units are independent across epochs, and a unit
counts once. Sums per epoch and arm change by differences, so what is stored per outcome is one row of its unit. They
are exact, for a huge value that is taken back from a rounded sum would take the squares of the others with it.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Context, Decimal
from functools import cached_property
from typing import Final, Literal

import numpy as np

from ml.contracts.abtest import LARGEST_NUMBER, AbTestSpec
from ml.experiments.assignment import place
from ml.experiments.layout import homes, laid_out

FUTURE_SECONDS: Final = 60.0
"""How far an application's clock may be ahead of ours."""
LARGEST_VALUE: Final = LARGEST_NUMBER
_TEXT_LIMIT: Final = 256
_EXACT: Final = Context(prec=4096)
"""Digits for any sum of squares: that of the smallest float ends at the 2,148th decimal."""

Status = Literal["counted", "stored", "duplicate", "late", "moved", "holdout", "unassigned", "refused"]
"""`stored`: kept, but no experiment counts it. `refused`: nothing was kept."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an application reports: a metric's value, or without a metric that a unit was exposed."""

    id: str
    model: str
    at: float
    """When it happened, by the application's clock, in seconds since 1970."""
    metric: str | None = None
    value: float | None = None
    user_id: str | None = None
    request_id: str | None = None
    slot: str | None = None
    """Which slot answered, from the response header; computed from the weights if left out."""


@dataclass(frozen=True, kw_only=True)
class IngestResult:
    """What became of one reported outcome."""

    id: str
    status: Status
    message: str = ""
    experiment: str | None = None


@dataclass(frozen=True)
class CountedEpoch:
    """Weights in the gateway's order of slots, from a moment on."""

    index: int
    weights: Mapping[str, int]
    """All 0 while they are changing: which were in force at the gateway is not known then."""
    started_at: float

    @property
    def has_weights(self) -> bool:
        """Whether it is known which weights were in force."""
        return any(self.weights.values())


@dataclass(frozen=True, kw_only=True)
class CountedExperiment:
    """An experiment that outcomes of its model are counted for."""

    id: str
    model: str
    spec: AbTestSpec
    salt: str
    started_at: float
    ended_at: float | None = None
    epochs: tuple[CountedEpoch, ...] = ()
    number: int = 0
    """How the database calls it."""

    @cached_property
    def metrics(self) -> Mapping[str, tuple[int, str]]:
        """Per metric: its place among the amounts of a unit, and its aggregation."""
        return {outcome.name: (number, outcome.aggregation) for number, outcome in enumerate(self.spec.outcomes)}

    @cached_property
    def arms(self) -> frozenset[str]:
        """The slots that are compared."""
        return frozenset(arm.slot for arm in self.spec.arms)

    @property
    def by_user(self) -> bool:
        """Whether the unit is a user and not a request."""
        return self.spec.unit != "request"

    def epoch_at(self, at: float) -> CountedEpoch | None:
        """Return the epoch that a moment lies in; None before the first."""
        found = bisect.bisect_right([epoch.started_at for epoch in self.epochs], at)
        return self.epochs[found - 1] if found else None

    def unit_of(self, outcome: Outcome) -> str | None:
        """Return the unit that an outcome is about; None if it does not say."""
        return outcome.user_id if self.by_user else outcome.request_id


@dataclass(frozen=True)
class Unit:
    """What is known of one unit of an experiment."""

    epoch: int
    arm: str
    first_at: float
    amounts: tuple[float, ...]
    """Numerator and denominator of each metric of the spec; denominator 0: nothing reported yet."""
    censored_at: float | None = None


SumKey = tuple[int, str, str]
"""Epoch, arm, metric."""


@dataclass
class Tally:
    """Changes of an experiment's sums."""

    units: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])
    """Per epoch and arm."""
    sums: dict[SumKey, list[Decimal]] = field(default_factory=dict[SumKey, list[Decimal]])
    """In the order of the fields of `RatioSums`; exact."""
    newest_at: float = -math.inf

    def change(self, key: SumKey, old: tuple[float, float], new: tuple[float, float]) -> None:
        """Replace a unit's numerator and denominator."""
        total = self.sums.setdefault(key, [Decimal()] * 6)
        if old[1] == 0.0 and new[1] > 0.0:
            total[0] += 1
        # Every float is a decimal number with an end, and so are products of two.
        y, m, y2, m2 = Decimal(old[0]), Decimal(old[1]), Decimal(new[0]), Decimal(new[1])
        plus, times_plus, less_y, less_m = _EXACT.add, _EXACT.fma, y.copy_negate(), m.copy_negate()
        _, numerator, denominator, numerator_squares, denominator_squares, products = total
        total[1] = plus(plus(numerator, y2), less_y)
        total[2] = plus(plus(denominator, m2), less_m)
        total[3] = times_plus(y2, y2, times_plus(less_y, y, numerator_squares))
        total[4] = times_plus(m2, m2, times_plus(less_m, m, denominator_squares))
        total[5] = times_plus(y2, m2, times_plus(less_y, m, products))

    def add(self, change: Tally) -> None:
        """Take in the changes that another one gathered."""
        for arm, units in change.units.items():
            self.units[arm] = self.units.get(arm, 0) + units
        for key, steps in change.sums.items():
            total = self.sums.setdefault(key, [Decimal()] * 6)
            self.sums[key] = [_EXACT.add(a, b) for a, b in zip(total, steps, strict=True)]
        self.newest_at = max(self.newest_at, change.newest_at)


def problem_of(outcome: Outcome, now: float, oldest_at: float) -> str | None:
    """Say why an outcome cannot be kept at all; None if it can."""
    for name in ("id", "model", "metric", "user_id", "request_id", "slot"):
        value: str | None = getattr(outcome, name)
        if value is not None and (not 0 < len(value) <= _TEXT_LIMIT or not value.isprintable()):
            return f"{name}={value[:40]!r}: allowed is a printable text of 1 to {_TEXT_LIMIT} characters"
    if not math.isfinite(outcome.at) or outcome.at > now + FUTURE_SECONDS:
        return f"at={outcome.at}: allowed is a time at most {FUTURE_SECONDS:.0f} s ahead of the server's ({now:.0f})"
    if outcome.at < oldest_at:
        return f"at={outcome.at}: allowed are times since {oldest_at:.0f}; older outcomes are not kept"
    if (outcome.metric is None) != (outcome.value is None):
        return "metric and value: allowed are both, or neither (an exposure)"
    if outcome.value is not None and not abs(outcome.value) <= LARGEST_VALUE:
        return f"value={outcome.value}: allowed is a number of at most {LARGEST_VALUE:g}"
    if outcome.user_id is None and outcome.request_id is None:
        return "user_id, request_id: allowed is at least one of them"
    return None


def count(
    experiment: CountedExperiment, unit: Unit | None, outcome: Outcome, user_hash: int | None, now: float, tally: Tally
) -> tuple[Status, str, Unit | None]:
    """Count one outcome for one experiment.

    Args:
        experiment: of the outcome's model.
        unit: what is known of the outcome's unit.
        outcome: checked by `problem_of`.
        user_hash: `assignment_hashes` of the user under the experiment's salt; None without a user.
        now: our own time.
        tally: takes the changes of the sums.

    Returns:
        What became of it, why, and the unit as it is now.
    """
    if experiment.unit_of(outcome) is None:
        missing = "user_id" if experiment.by_user else "request_id"
        return "unassigned", f"{missing}: the experiment counts by it, and the request is not known", unit
    if now - outcome.at > experiment.spec.attribution_window_seconds:
        return "late", f"reported {now - outcome.at:.0f} s after it happened", unit
    if experiment.by_user and user_hash is not None and user_hash % 1000 < experiment.spec.holdout_percent * 10:
        return "holdout", "the user is kept out of the comparison", unit
    if unit is None:
        return _first_sight(experiment, outcome, user_hash, now, tally)
    return _again(experiment, unit, outcome, user_hash, now, tally)


def _first_sight(
    experiment: CountedExperiment, outcome: Outcome, user_hash: int | None, now: float, tally: Tally
) -> tuple[Status, str, Unit | None]:
    epoch = experiment.epoch_at(outcome.at)
    if epoch is None or outcome.at < experiment.started_at:
        return "stored", "it happened before the experiment began", None
    if experiment.ended_at is not None and outcome.at >= experiment.ended_at:
        return "stored", "the experiment takes no new units any more", None
    arm = outcome.slot or _assigned(experiment, epoch, user_hash)
    if arm is None and experiment.by_user and not epoch.has_weights:
        return "unassigned", "slot: without it the arm is not known, for the weights were changing then", None
    if arm is None:
        return "unassigned", "slot: without it the arm of a request is not known", None
    if arm not in experiment.arms:
        return "unassigned", f"slot={arm!r}: allowed are {sorted(experiment.arms)}", None
    start = [0.0] * (2 * len(experiment.metrics))
    for name, (number, aggregation) in experiment.metrics.items():
        if aggregation != "mean":
            start[2 * number + 1] = 1.0
            tally.change((epoch.index, arm, name), (0.0, 0.0), (0.0, 1.0))
    key = (epoch.index, arm)
    tally.units[key] = tally.units.get(key, 0) + 1
    unit = Unit(epoch.index, arm, outcome.at, tuple(start))
    return _add(experiment, unit, outcome, now, tally)


def _again(
    experiment: CountedExperiment, unit: Unit, outcome: Outcome, user_hash: int | None, now: float, tally: Tally
) -> tuple[Status, str, Unit | None]:
    if outcome.at > unit.first_at + experiment.spec.attribution_window_seconds:
        return "late", "the unit was first seen longer ago than the attribution window", unit
    epoch = experiment.epoch_at(outcome.at)
    if epoch is None or epoch.index < unit.epoch:
        return "late", "it happened in an epoch before the one that the unit was counted in", unit
    arm = outcome.slot or _assigned(experiment, epoch, user_hash) or unit.arm
    if arm != unit.arm:
        censored_at = outcome.at if unit.censored_at is None else min(unit.censored_at, outcome.at)
        return "moved", f"the unit began in {unit.arm} and was seen in {arm}", replace(unit, censored_at=censored_at)
    if unit.censored_at is not None and outcome.at >= unit.censored_at:
        return "moved", "the unit has been in another arm meanwhile", unit
    return _add(experiment, unit, outcome, now, tally)


def _assigned(experiment: CountedExperiment, epoch: CountedEpoch, user_hash: int | None) -> str | None:
    """Return the slot that the gateway gave a user in an epoch; None for what it split at random or is not known."""
    if user_hash is None or not experiment.by_user or not epoch.has_weights:
        return None
    layout = laid_out(epoch.weights, homes(experiment.spec))
    index = int(place(np.array([user_hash], dtype=np.uint64), [weight for _, weight in layout])[0])
    return layout[index][0]


def _add(
    experiment: CountedExperiment, unit: Unit, outcome: Outcome, now: float, tally: Tally
) -> tuple[Status, str, Unit]:
    tally.newest_at = max(tally.newest_at, min(outcome.at, now))
    if outcome.metric is None or outcome.value is None:
        return "counted", "", unit
    known = experiment.metrics.get(outcome.metric)
    if known is None:
        return "stored", f"metric={outcome.metric!r}: the experiment has {sorted(experiment.metrics)}", unit
    number, aggregation = known
    y, m = unit.amounts[2 * number], unit.amounts[2 * number + 1]
    if aggregation == "any":
        new = (1.0 if outcome.value > 0 else y, 1.0)
    elif aggregation == "sum":
        new = (y + outcome.value, 1.0)
    else:
        new = (y + outcome.value, m + 1.0)
    tally.change((unit.epoch, unit.arm, outcome.metric), (y, m), new)
    amounts = list(unit.amounts)
    amounts[2 * number : 2 * number + 2] = new
    return "counted", "", replace(unit, amounts=tuple(amounts))


def joined(
    outcomes: Sequence[Outcome], known: Mapping[tuple[str, str], tuple[str | None, str | None]]
) -> list[Outcome]:
    """Fill in user and slot of outcomes that only name a request, from what was reported of the same request.

    Args:
        outcomes: of one batch; they also explain each other.
        known: per model and request: user and slot, from earlier outcomes.
    """
    requests = dict(known)
    for outcome in outcomes:
        if outcome.request_id is not None and (outcome.user_id is not None or outcome.slot is not None):
            key = (outcome.model, outcome.request_id)
            user, slot = requests.get(key, (None, None))
            requests[key] = (user or outcome.user_id, slot or outcome.slot)
    filled: list[Outcome] = []
    for outcome in outcomes:
        user, slot = requests.get((outcome.model, outcome.request_id or ""), (None, None))
        filled.append(replace(outcome, user_id=outcome.user_id or user, slot=outcome.slot or slot))
    return filled
