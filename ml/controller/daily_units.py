"""How many users (or requests) a model has per day: as somebody wrote, else as measured before an experiment begins.

Outcomes are the better measure: they name the very units that an experiment will count. Where applications have not
reported any yet, the gateway's requests stand in: for an experiment on users that is the most there can be, since each
request is taken for a user of its own.

A measurement is a fact with a source and a length of time. It is recorded with the admission that used it, so that the
same admission can be derived again; nothing is measured twice for one experiment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from ml.controller.ports import Requests, RequestTotal, UnavailableError
from ml.events.ports import OutcomeStore, StoreUnavailableError, UnitsSeen

SECONDS_PER_DAY: Final = 86_400.0
WINDOW_SECONDS: Final = 7 * SECONDS_PER_DAY
"""A whole week, so that weekdays and weekends count as they come."""
_SHORTEST_SECONDS: Final = SECONDS_PER_DAY
"""What was seen within less than this is not scaled up: an hour says little about a day."""
_REMEMBERED_SECONDS: Final = 60.0
_FAILURE_REMEMBERED_SECONDS: Final = 10.0
_PATIENCE_SECONDS: Final = 2.0
_Key = tuple[str, bool]
"""A model, and whether its users are counted or its requests."""
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
    """Measures when an experiment does not say how many units it expects.

    Counting the users of a week may take many seconds, and whoever asks has other experiments to look after: it gets
    the answer that there is by then, and asks again. Answers and failures are kept for a while, so that experiments in
    a queue do not make the stores count without a pause.
    """

    def __init__(self, outcomes: OutcomeStore, requests: Requests) -> None:
        self._outcomes = outcomes
        self._requests = requests
        self._known: dict[_Key, tuple[float, DailyUnits | None]] = {}
        self._failed: dict[_Key, tuple[float, UnavailableError | StoreUnavailableError]] = {}
        self._running: dict[_Key, asyncio.Task[DailyUnits | None]] = {}

    async def measure(self, model: str, *, by_user: bool, now: float) -> DailyUnits | None:
        """Return a model's units per day; None if neither outcomes nor requests tell of any.

        Raises:
            UnavailableError: the metrics store is needed and does not answer, or it is still being counted.
            StoreUnavailableError: the outcome store does not answer.
        """
        key = (model, by_user)
        if key in self._known and 0 <= now - self._known[key][0] < _REMEMBERED_SECONDS:
            return self._known[key][1]
        if key in self._failed and 0 <= now - self._failed[key][0] < _FAILURE_REMEMBERED_SECONDS:
            raise self._failed[key][1]
        task = self._running.get(key)
        if task is None or task.cancelled():
            task = self._running[key] = asyncio.create_task(self._count(key, now))
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                found = await asyncio.shield(task)
        except TimeoutError:
            raise UnavailableError(f"the units of {model} are still being counted") from None
        except (UnavailableError, StoreUnavailableError) as error:
            self._failed[key] = (now, error)
            raise
        finally:
            # Others may have waited for the same task and been here before, or begun another one.
            if task.done() and self._running.get(key) is task:
                del self._running[key]
        self._known[key] = (now, found)
        return found

    async def _count(self, key: _Key, now: float) -> DailyUnits | None:
        model, by_user = key
        seen = await self._outcomes.seen(model, by_user=by_user, since=now - WINDOW_SECONDS)
        total = await self._requests.total(model, WINDOW_SECONDS) if seen.units == 0 else None
        return daily_units(seen, total, now)


def wants_measuring(spec: Mapping[str, Any]) -> bool:
    """Tell whether an experiment, as written, can only be admitted with a measurement."""
    return spec.get("expectedUnitsPerDay") is None and spec.get("mode", "planned") == "planned"


def is_by_user(spec: Mapping[str, Any]) -> bool:
    """Tell whether the units of an experiment, as written, are users."""
    return spec.get("unit") != "request"


def _scaled(units: float, seconds: float, source: Literal["outcomes", "gateway"]) -> DailyUnits:
    length = min(max(seconds, _SHORTEST_SECONDS), WINDOW_SECONDS)
    return DailyUnits(per_day=units / length * SECONDS_PER_DAY, source=source, seconds=length)
