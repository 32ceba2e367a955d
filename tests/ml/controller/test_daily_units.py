"""Units per day: what observations become, and whom the meter asks, and how often."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from ml.controller.daily_units import DailyUnits, UnitsMeter, daily_units, is_by_user, wants_measuring
from ml.controller.ports import Requests, RequestTotal, UnavailableError
from ml.events.ports import OutcomeStore, StoreUnavailableError, UnitsSeen

DAY = 86_400.0
NOW = 1_800_000_000.0
NOBODY = UnitsSeen(units=0, first_at=None)


@pytest.mark.parametrize(
    ("seen", "total", "expected"),
    [
        (UnitsSeen(units=7_000, first_at=NOW - 7 * DAY), None, (1_000.0, "outcomes", 7 * DAY)),
        (UnitsSeen(units=7_000, first_at=NOW - 2 * DAY), None, (3_500.0, "outcomes", 2 * DAY)),
        (UnitsSeen(units=100, first_at=NOW - 60), None, (100.0, "outcomes", DAY)),
        (UnitsSeen(units=100, first_at=NOW + 30), None, (100.0, "outcomes", DAY)),
        (NOBODY, RequestTotal(requests=3_000.0, seconds=3 * DAY), (1_000.0, "gateway", 3 * DAY)),
        (NOBODY, RequestTotal(requests=3_000.0, seconds=3_600.0), (3_000.0, "gateway", DAY)),
        (NOBODY, RequestTotal(requests=0.0, seconds=7 * DAY), None),
        (NOBODY, None, None),
    ],
)
def test_day_is_the_average_of_what_is_known_when_measured(
    seen: UnitsSeen, total: RequestTotal | None, expected: tuple[float, Any, float] | None
) -> None:
    found = daily_units(seen, total, NOW)
    per_day, source, seconds = expected or (0.0, "spec", None)
    assert found == (DailyUnits(per_day=per_day, source=source, seconds=seconds) if expected else None)


class Sources:
    """Both sources; each counts how often it is asked, or is away."""

    def __init__(self, seen: UnitsSeen | None = NOBODY, total: RequestTotal | None = None) -> None:
        self._seen, self._total = seen, total
        self.asked: list[str] = []
        self.at = 0.0
        self.meter = UnitsMeter(cast("OutcomeStore", self), cast("Requests", self), monotonic=lambda: self.at)

    async def seen(self, model: str, *, by_user: bool, since: float) -> UnitsSeen:
        self.asked.append(f"outcomes of {model} by {'user' if by_user else 'request'} for {(NOW - since) / DAY:g} days")
        if self._seen is None:
            raise StoreUnavailableError("the event store is away")
        return self._seen

    async def total(self, model: str, seconds: float) -> RequestTotal:
        self.asked.append(f"requests of {model} for {seconds / DAY:g} days")
        if self._total is None:
            raise UnavailableError("Prometheus is away")
        return self._total

    def measure(self, *, by_user: bool = True) -> DailyUnits | None:
        return asyncio.run(self.meter.measure("m", by_user=by_user, now=NOW))


def test_gateway_is_not_asked_when_outcomes_say_enough() -> None:
    sources = Sources(UnitsSeen(units=70, first_at=NOW - 7 * DAY))
    assert sources.measure() == DailyUnits(per_day=10.0, source="outcomes", seconds=7 * DAY)
    assert sources.asked == ["outcomes of m by user for 7 days"]


def test_gateway_stands_in_when_no_application_has_reported() -> None:
    sources = Sources(total=RequestTotal(requests=700.0, seconds=7 * DAY))
    assert sources.measure(by_user=False) == DailyUnits(per_day=100.0, source="gateway", seconds=7 * DAY)
    assert sources.asked == ["outcomes of m by request for 7 days", "requests of m for 7 days"]


def test_answer_is_kept_for_a_minute_when_asked_again_and_again() -> None:
    sources = Sources(total=RequestTotal(requests=0.0, seconds=0.0))
    assert [sources.measure(), sources.measure()] == [None, None]
    assert len(sources.asked) == 2
    sources.at = 61.0
    sources.measure()
    assert len(sources.asked) == 4


@pytest.mark.parametrize(
    ("sources", "error"), [(Sources(seen=None), StoreUnavailableError), (Sources(), UnavailableError)]
)
def test_nothing_is_concluded_and_kept_when_a_source_is_away(sources: Sources, error: type[Exception]) -> None:
    for _ in range(2):
        asked = len(sources.asked)
        with pytest.raises(error):
            sources.measure()
        assert len(sources.asked) > asked


@pytest.mark.parametrize(
    ("spec", "wants", "by_user"),
    [
        ({}, True, True),
        ({"mode": "planned", "unit": "request"}, True, False),
        ({"expectedUnitsPerDay": 5}, False, True),
        ({"mode": "openEnded", "unit": "userCookie"}, False, True),
    ],
)
def test_only_planned_experiments_are_measured_for_when_they_do_not_say(
    spec: dict[str, Any], wants: bool, by_user: bool
) -> None:
    assert (wants_measuring(spec), is_by_user(spec)) == (wants, by_user)
