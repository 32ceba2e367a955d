"""How many users (or requests) a model has per day: as somebody wrote, else as measured before an experiment begins.

Outcomes are the better measure: they name the very units that an experiment will count. Where applications have not
reported any yet, the gateway's requests stand in: for an experiment on users that is the most there can be, since each
request is taken for a user of its own.

A measurement is a fact with a source and a length of time. It is recorded with the admission that used it, so that the
same admission can be derived again; nothing is measured twice for one experiment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from ml.controller.ports import Requests, RequestTotal
from ml.events.ports import OutcomeStore, UnitsSeen

SECONDS_PER_DAY: Final = 86_400.0
WINDOW_SECONDS: Final = 7 * SECONDS_PER_DAY
"""A whole week, so that weekdays and weekends count as they come."""
_SHORTEST_SECONDS: Final = SECONDS_PER_DAY
"""What was seen within less than this is not scaled up: an hour says little about a day."""
_REMEMBERED_SECONDS: Final = 60.0
UnitsSource = Literal["spec", "outcomes", "gateway", "unknown"]
_SOURCES: Final = {"outcomes": "in the reported outcomes", "gateway": "at the gateway"}


@dataclass(frozen=True, kw_only=True)
class DailyUnits:
    """Units of a model per day.

    Attributes:
        per_day: of all users, those in no arm included.
        source: `spec`: as written; `outcomes`: different users (or requests) that outcomes named; `gateway`: requests.
        seconds: over which it was measured; None if it was written.
    """

    per_day: float
    source: Literal["spec", "outcomes", "gateway"]
    seconds: float | None = None

    def __str__(self) -> str:
        """Say how many, and how that is known."""
        count = f"{self.per_day:,.0f} units per day"
        if self.seconds is None:
            return count
        days = self.seconds / SECONDS_PER_DAY
        return f"{count} (measured {_SOURCES[self.source]} over {days:.1f} days)"


def daily_units(seen: UnitsSeen, total: RequestTotal | None, now: float) -> DailyUnits | None:
    """Return the measurement that these observations give; None if they give none.

    Args:
        seen: units that outcomes of the last days named.
        total: requests of the last days; None if nobody asked, because outcomes say enough.
        now: seconds since 1970.
    """
    if seen.units > 0 and seen.first_at is not None:
        return _scaled(seen.units, now - seen.first_at, "outcomes")
    if total is not None and total.requests > 0:
        return _scaled(total.requests, total.seconds, "gateway")
    return None


def from_plan(plan: Mapping[str, Any]) -> DailyUnits | None:
    """Return what an admission's stored plan says was measured; None if it used what was written, or nothing."""
    if plan.get("measured_seconds") is None:
        return None
    return DailyUnits(
        per_day=plan["units_per_day"], source=plan["units_per_day_source"], seconds=plan["measured_seconds"]
    )


class UnitsMeter:
    """Measures when an experiment does not say how many units it expects."""

    def __init__(
        self, outcomes: OutcomeStore, requests: Requests, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._outcomes = outcomes
        self._requests = requests
        self._monotonic = monotonic
        self._known: dict[tuple[str, bool], tuple[float, DailyUnits | None]] = {}

    async def measure(self, model: str, *, by_user: bool, now: float) -> DailyUnits | None:
        """Return a model's units per day; None if neither outcomes nor requests tell of any.

        Experiments that wait in a queue ask every few seconds, so an answer is kept for a minute.

        Raises:
            UnavailableError: requests are needed, and the metrics store does not answer.
            StoreUnavailableError: the outcome store does not answer.
        """
        key, asked_at = (model, by_user), self._monotonic()
        if key in self._known and asked_at - self._known[key][0] < _REMEMBERED_SECONDS:
            return self._known[key][1]
        seen = await self._outcomes.seen(model, by_user=by_user, since=now - WINDOW_SECONDS)
        total = await self._requests.total(model, WINDOW_SECONDS) if seen.units == 0 else None
        found = daily_units(seen, total, now)
        self._known[key] = (asked_at, found)
        return found


def wants_measuring(spec: Mapping[str, Any]) -> bool:
    """Tell whether an experiment, as written, can only be admitted with a measurement."""
    return spec.get("expectedUnitsPerDay") is None and spec.get("mode", "planned") == "planned"


def is_by_user(spec: Mapping[str, Any]) -> bool:
    """Tell whether the units of an experiment, as written, are users."""
    return spec.get("unit") != "request"


def _scaled(units: float, seconds: float, source: Literal["outcomes", "gateway"]) -> DailyUnits:
    length = min(max(seconds, _SHORTEST_SECONDS), WINDOW_SECONDS)
    return DailyUnits(per_day=units / length * SECONDS_PER_DAY, source=source, seconds=length)
