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
    """Both sources; they say what they were asked, and may be slow or away."""

    def __init__(
        self,
        seen: UnitsSeen | None = NOBODY,
        total: RequestTotal | None = None,
        *,
        seconds: float = 0.0,
        raises: Exception | None = None,
    ) -> None:
        self.answers, self._seconds, self.raises = (seen, total), seconds, raises
        self.asked: list[str] = []
        self.meter = UnitsMeter(cast("OutcomeStore", self), cast("Requests", self))

    async def seen(self, model: str, *, by_user: bool, since: float) -> UnitsSeen:
        self.asked.append(
            f"outcomes of {model} by {'user' if by_user else 'request'} for {(NOW - since) / DAY:.1f} days"
        )
        await asyncio.sleep(self._seconds)
        if self.raises is not None:
            raise self.raises
        if self.answers[0] is None:
            raise StoreUnavailableError("the event store is away")
        return self.answers[0]

    async def total(self, model: str, seconds: float) -> RequestTotal:
        self.asked.append(f"requests of {model} for {seconds / DAY:g} days")
        if self.answers[1] is None:
            raise UnavailableError("Prometheus is away")
        return self.answers[1]

    def measure(self, *, by_user: bool = True, later: float = 0.0) -> DailyUnits | None:
        return asyncio.run(self.meter.measure("m", by_user=by_user, now=NOW + later))


def test_gateway_is_not_asked_when_outcomes_say_enough() -> None:
    sources = Sources(UnitsSeen(units=70, first_at=NOW - 7 * DAY))
    assert sources.measure() == DailyUnits(per_day=10.0, source="outcomes", seconds=7 * DAY)
    assert sources.asked == ["outcomes of m by user for 7.0 days"]


def test_gateway_stands_in_when_no_application_has_reported() -> None:
    sources = Sources(total=RequestTotal(requests=700.0, seconds=7 * DAY))
    assert sources.measure(by_user=False) == DailyUnits(per_day=100.0, source="gateway", seconds=7 * DAY)
    assert sources.asked == ["outcomes of m by request for 7.0 days", "requests of m for 7 days"]


def test_answer_is_kept_for_a_minute_when_asked_again_and_again() -> None:
    sources = Sources(total=RequestTotal(requests=0.0, seconds=0.0))
    assert [sources.measure(), sources.measure(later=59.0)] == [None, None]
    assert len(sources.asked) == 2
    sources.measure(later=61.0)
    assert len(sources.asked) == 4


@pytest.mark.parametrize(("away", "error"), [((None, None), StoreUnavailableError), ((NOBODY, None), UnavailableError)])
def test_nothing_is_concluded_when_a_source_is_away_and_it_is_asked_again_when_it_is_back(
    away: tuple[UnitsSeen | None, None], error: type[Exception]
) -> None:
    sources = Sources(*away)
    for later in (0.0, 9.0):
        with pytest.raises(error):
            sources.measure(later=later)
    asked = len(sources.asked)
    assert asked == (1 if error is StoreUnavailableError else 2), "a source that is away is left alone for a while"
    sources.answers = (UnitsSeen(units=7, first_at=NOW - 7 * DAY), None)
    found = sources.measure(later=11.0)
    assert found is not None
    assert found.per_day == pytest.approx(1.0, rel=0.001)


def test_others_are_not_kept_waiting_when_counting_takes_long() -> None:
    sources = Sources(UnitsSeen(units=7, first_at=NOW - 7 * DAY), seconds=2.5)

    async def ask_and_ask_again() -> DailyUnits | None:
        with pytest.raises(UnavailableError, match="still being counted"):
            await sources.meter.measure("m", by_user=True, now=NOW)
        await asyncio.sleep(1.0)
        return await sources.meter.measure("m", by_user=True, now=NOW + 5)

    assert asyncio.run(ask_and_ask_again()) == DailyUnits(per_day=1.0, source="outcomes", seconds=7 * DAY)
    assert len(sources.asked) == 1


@pytest.mark.parametrize(
    "away", [None, StoreUnavailableError("away"), ZeroDivisionError("a defect")], ids=["answers", "away", "defect"]
)
def test_everybody_gets_the_same_answer_when_many_ask_at_once(away: Exception | None) -> None:
    sources = Sources(UnitsSeen(units=7, first_at=NOW - 7 * DAY), seconds=0.05, raises=away)

    async def ask_together() -> list[DailyUnits | BaseException | None]:
        asking = (sources.meter.measure("m", by_user=True, now=NOW) for _ in range(3))
        return await asyncio.gather(*asking, return_exceptions=True)

    expected = away or DailyUnits(per_day=1.0, source="outcomes", seconds=7 * DAY)
    assert asyncio.run(ask_together()) == [expected] * 3
    assert len(sources.asked) == 1


def test_counting_begins_anew_when_it_failed_by_a_defect() -> None:
    sources = Sources(UnitsSeen(units=7, first_at=NOW - 7 * DAY), raises=ZeroDivisionError("a defect"))
    with pytest.raises(ZeroDivisionError):
        sources.measure()
    sources.raises = None
    assert sources.measure() == DailyUnits(per_day=1.0, source="outcomes", seconds=7 * DAY)


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
