"""Outcomes: one suite for memory and PostgreSQL."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.events.counting import Outcome
from ml.events.memory_outcomes import MemoryOutcomeStore
from ml.events.outcomes import PostgresOutcomeStore
from ml.events.ports import OutcomeStore, OutcomeSums, UnitsSeen
from ml.experiments.assignment import assign, assignment_hashes
from ml.experiments.ratio import RatioSums, ratio_sums
from tests.ml.events.conftest import OnPostgres
from tests.ml.events.lives import spec

MODEL = "content_quality_model"
SALT = f"{MODEL}-03"
START = 1_800_000_000.0
OnOutcomes = Callable[[Callable[["World"], Awaitable[Any]]], Any]


class World:
    """A store, its clock, and short words for what happens."""

    def __init__(self, make: Callable[[Callable[[], float]], Any]) -> None:
        self.now = START + 100.0
        self.store: Any = make(lambda: self.now)
        self._ids = 0

    async def open(self, experiment: str = "x", weights: Mapping[str, int] | None = None, **changes: Any) -> None:
        await self.store.open_experiment(experiment, MODEL, spec(**changes), SALT, START)
        await self.store.start_epoch(experiment, 0, weights or {"stable": 500, "candidate-a": 500}, START)

    async def tell(self, *outcomes: Outcome) -> list[str]:
        return [result.status for result in await self.store.ingest(outcomes)]

    def outcome(self, user: str | None = "u", **fields: Any) -> Outcome:
        self._ids += 1
        base: dict[str, Any] = {"id": f"o{self._ids}", "model": MODEL, "at": self.now, "user_id": user}
        return Outcome(**{**base, **fields})

    async def sums(self, experiment: str = "x") -> OutcomeSums:
        return (await self.store.sums([experiment]))[experiment]


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.slow)])
def on_outcomes(request: pytest.FixtureRequest) -> OnOutcomes:
    if request.param == "memory":

        async def main(action: Callable[[World], Awaitable[Any]]) -> Any:
            return await action(World(lambda clock: MemoryOutcomeStore(clock)))

        return lambda action: asyncio.run(main(action))
    on_postgres: OnPostgres = request.getfixturevalue("on_postgres")
    return lambda action: on_postgres(lambda pool: action(World(lambda clock: PostgresOutcomeStore(pool, clock))))


def user_in(arm: int, weights: tuple[int, ...] = (500, 500), skip: int = 0) -> str:
    """A user whom the gateway gives this place among the arms."""
    found = (f"user-{i}" for i in range(10_000) if assign([f"user-{i}"], weights, SALT)[0] == arm)
    return [next(found) for _ in range(skip + 1)][-1]


def test_sums_are_those_of_the_units_when_outcomes_of_all_kinds_are_told(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open()
        told = [
            *(world.outcome("a", slot="stable", metric="rating", value=v) for v in (4.0, 2.0)),
            world.outcome("b", slot="stable", metric="rating", value=5.0),
            *(world.outcome("b", slot="stable", metric="spend", value=v) for v in (10.0, 2.5)),
            *(world.outcome("a", slot="stable", metric="conversion", value=v) for v in (1.0, 1.0, 0.0)),
            world.outcome("c", slot="stable"),
            world.outcome("d", slot="candidate-a", metric="conversion", value=0.0),
        ]
        assert set(await world.tell(*told)) == {"counted"}
        sums = await world.sums()
        assert sums.newest_at == world.now
        epoch = sums.epochs[0]
        assert epoch.units == {"stable": 3, "candidate-a": 1}
        assert epoch.metrics["rating"]["stable"] == ratio_sums([6.0, 5.0], [2.0, 1.0])
        assert "candidate-a" not in epoch.metrics["rating"]
        assert epoch.metrics["conversion"]["stable"] == ratio_sums([1.0, 0.0, 0.0], [1.0, 1.0, 1.0])
        assert epoch.metrics["conversion"]["candidate-a"] == RatioSums(1, 0.0, 1.0, 0.0, 1.0, 0.0)
        assert epoch.metrics["spend"]["stable"] == ratio_sums([0.0, 12.5, 0.0], [1.0, 1.0, 1.0])

    on_outcomes(action)


def test_sums_are_the_same_when_outcomes_come_in_batches_of_any_size(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open("one")
        told = [
            world.outcome(f"u{i % 7}", slot="stable", metric="rating", value=float(i % 5), at=world.now + i * 0.1)
            for i in range(40)
        ]
        world.now += 10
        for size in (1, 2, 3, 34):
            batch, told = told[:size], told[size:]
            await world.tell(*batch)
        expected_y = [sum(float(i % 5) for i in range(40) if i % 7 == u) for u in range(7)]
        expected_m = [float(len([i for i in range(40) if i % 7 == u])) for u in range(7)]
        assert (await world.sums("one")).epochs[0].metrics["rating"]["stable"] == ratio_sums(expected_y, expected_m)

    on_outcomes(action)


def test_outcome_counts_once_when_its_id_comes_again(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open()
        told = world.outcome(slot="stable", metric="spend", value=3.0)
        assert await world.tell(told, told) == ["counted", "duplicate"]
        assert await world.tell(dataclasses.replace(told, at=told.at - 30 * 86_400)) == ["duplicate"]
        assert (await world.sums()).epochs[0].metrics["spend"]["stable"].numerator == 3.0

    on_outcomes(action)


def test_arm_is_the_gateways_when_the_slot_is_left_out(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open()
        users = [f"user-{i}" for i in range(200)]
        await world.tell(*(world.outcome(user) for user in users))
        chosen = assign(users, (500, 500), SALT)
        assert (await world.sums()).epochs[0].units == {
            "stable": int((chosen == 0).sum()),
            "candidate-a": int((chosen == 1).sum()),
        }

    on_outcomes(action)


def test_unit_stays_in_its_first_epoch_when_it_returns_later(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open()
        await world.tell(world.outcome("a", slot="stable"))
        await world.store.start_epoch("x", 1, {"stable": 400, "candidate-a": 600}, world.now + 1)
        world.now += 5
        assert await world.tell(world.outcome("a", slot="stable", metric="conversion", value=1.0)) == ["counted"]
        assert await world.tell(world.outcome("b", slot="stable", metric="conversion", value=1.0)) == ["counted"]
        sums = await world.sums()
        assert [sums.epochs[index].units for index in (0, 1)] == [{"stable": 1}, {"stable": 1}]
        assert [sums.epochs[i].metrics["conversion"]["stable"].numerator for i in (0, 1)] == [1.0, 1.0]

    on_outcomes(action)


def test_unit_is_censored_when_it_is_seen_in_another_arm(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open()
        seen = {"metric": "spend", "value": 1.0}
        assert await world.tell(world.outcome("a", slot="stable", **seen)) == ["counted"]
        world.now += 10
        assert await world.tell(world.outcome("a", slot="candidate-a", **seen)) == ["moved"]
        world.now += 10
        assert await world.tell(world.outcome("a", slot="stable", **seen)) == ["moved"]
        before_the_move = world.now - 15
        assert await world.tell(world.outcome("a", slot="stable", at=before_the_move, **seen)) == ["counted"]
        epoch = (await world.sums()).epochs[0]
        assert epoch.units == {"stable": 1}
        assert epoch.metrics["spend"]["stable"].numerator == 2.0

    on_outcomes(action)


def test_user_is_censored_when_the_ramp_moved_it_and_no_slot_is_told(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open(weights={"stable": 900, "candidate-a": 100})
        mover = next(
            u
            for u in (f"user-{i}" for i in range(9999))
            if (assign([u], (900, 100), SALT)[0], assign([u], (500, 500), SALT)[0]) == (0, 1)
        )
        assert await world.tell(world.outcome(mover)) == ["counted"]
        await world.store.start_epoch("x", 1, {"stable": 500, "candidate-a": 500}, world.now + 1)
        world.now += 5
        assert await world.tell(world.outcome(mover, metric="conversion", value=1.0)) == ["moved"]
        assert await world.tell(world.outcome(mover, at=world.now - 4.5, metric="conversion", value=1.0)) == ["counted"]

    on_outcomes(action)


@pytest.mark.parametrize(("after", "expected"), [(3600.0, "counted"), (3600.1, "late")])
def test_outcome_counts_when_inside_the_attribution_window_only(
    on_outcomes: OnOutcomes, after: float, expected: str
) -> None:
    async def action(world: World) -> None:
        await world.open()
        await world.tell(world.outcome("a", slot="stable"))
        world.now += after
        assert await world.tell(world.outcome("a", slot="stable", metric="spend", value=1.0)) == [expected]

    on_outcomes(action)


def test_late_outcomes_of_known_units_count_when_the_experiment_is_closed(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open()
        await world.tell(world.outcome("a", slot="stable"))
        world.now += 10
        await world.store.close_experiment("x", world.now)
        await world.store.close_experiment("x", world.now + 5000)
        world.now += 10
        late = world.outcome("a", slot="stable", metric="spend", value=1.0)
        assert await world.tell(late, world.outcome("b", slot="stable")) == ["counted", "stored"]
        assert await world.tell(world.outcome("c", slot="stable", at=world.now - 15)) == ["counted"]
        assert (await world.sums()).epochs[0].units == {"stable": 2}

    on_outcomes(action)


@pytest.mark.parametrize(("ahead", "expected"), [(60.0, "counted"), (60.5, "refused"), (float("nan"), "refused")])
def test_outcome_is_refused_when_its_clock_is_more_than_a_minute_ahead(
    on_outcomes: OnOutcomes, ahead: float, expected: str
) -> None:
    async def action(world: World) -> None:
        await world.open()
        assert await world.tell(world.outcome(slot="stable", at=world.now + ahead)) == [expected]
        newest_at = (await world.sums()).newest_at
        assert newest_at == (world.now if expected == "counted" else None), "data are never fresher than now"

    on_outcomes(action)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"value": 1.0}, "metric and value"),
        ({"metric": "spend"}, "metric and value"),
        ({"metric": "spend", "value": float("inf")}, "value=inf"),
        ({"metric": "spend", "value": 1e13}, "value="),
        ({"user_id": None}, "user_id, request_id"),
        ({"user_id": ""}, "user_id=''"),
        ({"user_id": "a\nb"}, "user_id="),
        ({"user_id": "x" * 257}, "user_id="),
        ({"id": "a\0b"}, "id="),
        ({"at": START - 91 * 86_400}, "at="),
    ],
)
def test_outcome_is_refused_with_the_field_when_it_is_unsound(
    on_outcomes: OnOutcomes, fields: dict[str, Any], named: str
) -> None:
    async def action(world: World) -> None:
        await world.open()
        good = world.outcome("good", slot="stable")
        results = await world.store.ingest([world.outcome(**{"slot": "stable", **fields}), good])
        assert [result.status for result in results] == ["refused", "counted"]
        assert results[0].message.startswith(named)
        assert "allowed" in results[0].message
        assert (await world.sums()).epochs[0].units == {"stable": 1}

    on_outcomes(action)


def test_user_is_left_out_when_held_out(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open(holdoutPercent=10)
        users = [f"user-{i}" for i in range(300)]
        statuses = await world.tell(*(world.outcome(user) for user in users))
        held = [int(value) % 1000 < 100 for value in assignment_hashes(users, SALT)]
        assert [status == "holdout" for status in statuses] == held
        assert any(held)

    on_outcomes(action)


def test_outcome_is_joined_when_it_only_names_the_request(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open()
        await world.tell(world.outcome("a", slot="candidate-a", request_id="r1"))
        world.now += 1
        late = world.outcome(None, request_id="r1", metric="spend", value=2.0)
        both = [
            world.outcome(None, request_id="r2", metric="spend", value=5.0),
            world.outcome("b", slot="stable", request_id="r2"),
        ]
        lost = world.outcome(None, request_id="r3", metric="spend", value=7.0)
        assert await world.tell(late, *both, lost) == ["counted", "counted", "counted", "unassigned"]
        epoch = (await world.sums()).epochs[0]
        assert epoch.units == {"candidate-a": 1, "stable": 1}
        assert {arm: sums.numerator for arm, sums in epoch.metrics["spend"].items()} == {"candidate-a": 2, "stable": 5}

    on_outcomes(action)


def test_requests_are_the_units_when_the_split_is_random(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open(unit="request")
        first = world.outcome("a", request_id="r1", slot="stable")
        other = world.outcome("a", request_id="r2", slot="candidate-a")
        unknown = world.outcome("a", request_id="r3")
        assert await world.tell(first, other, unknown) == ["counted", "counted", "unassigned"]
        told = world.outcome(None, request_id="r1", metric="conversion", value=1.0)
        assert await world.tell(told, world.outcome("a", slot="stable")) == ["counted", "unassigned"]
        assert (await world.sums()).epochs[0].units == {"stable": 1, "candidate-a": 1}

    on_outcomes(action)


def test_different_units_are_counted_when_seen_in_a_time(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        assert await world.store.seen(MODEL, by_user=True, since=START) == UnitsSeen(units=0, first_at=None)
        await world.open()
        early, inside = world.outcome("early"), START + 50.0
        await world.tell(
            dataclasses.replace(early, at=START - 10.0),
            dataclasses.replace(world.outcome("a", request_id="r1"), at=inside),
            world.outcome("a", request_id="r2"),
            world.outcome("b"),
            world.outcome(None, request_id="r1"),
            world.outcome("elsewhere", model="research_pattern_predictor"),
        )
        seen = {
            (by_user, since): await world.store.seen(MODEL, by_user=by_user, since=since)
            for by_user in (True, False)
            for since in (START - 20.0, START)
        }
        assert seen == {
            (True, START - 20.0): UnitsSeen(units=3, first_at=START - 10.0),
            (True, START): UnitsSeen(units=2, first_at=inside),
            (False, START - 20.0): UnitsSeen(units=2, first_at=inside),
            (False, START): UnitsSeen(units=2, first_at=inside),
        }

    on_outcomes(action)


def test_outcome_is_only_stored_when_no_experiment_asks_for_it(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        assert await world.tell(world.outcome(slot="stable")) == ["stored"]
        await world.open()
        too_early = world.outcome(slot="stable", at=START - 1)
        other_model = world.outcome(slot="stable", model="research_pattern_predictor")
        other_slot = world.outcome(slot="candidate-b")
        assert await world.tell(too_early, other_model, other_slot) == ["stored", "stored", "unassigned"]
        assert await world.tell(world.outcome(slot="stable", metric="other", value=1.0)) == ["stored"]
        assert (await world.sums()).epochs[0].metrics["conversion"]["stable"].n == 1, "it was seen, though"

    on_outcomes(action)


def test_opening_twice_changes_nothing_when_the_controller_repeats_itself(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open()
        await world.tell(world.outcome("a", slot="stable"))
        await world.open(weights={"stable": 1, "candidate-a": 999})
        await world.tell(world.outcome(user_in(0, skip=1)))
        sums = await world.sums()
        assert sums.epochs[0].units == {"stable": 2}
        assert list(sums.epochs) == [0]
        assert await world.store.sums(["unknown"]) == {}
        with pytest.raises(ValueError, match="experiment='unknown'"):
            await world.store.start_epoch("unknown", 0, {"stable": 1000}, START)

    on_outcomes(action)


_STORES: tuple[type[OutcomeStore], ...] = (MemoryOutcomeStore, PostgresOutcomeStore)
"""Checked by the type checker: both are what the controller asks for."""

_told = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["a", "b", "c", "user-1", "user-2", None]),
        "request_id": st.sampled_from(["r1", "r2", None]),
        "slot": st.sampled_from(["stable", "candidate-a", None]),
        "metric": st.sampled_from(["conversion", "rating", "spend", "other", None]),
        "value": st.integers(-3, 3).map(float),
        "id": st.integers(0, 25).map(str),
        "after_seconds": st.floats(-50.0, 9000.0),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_told, max_size=30), st.integers(1, 7), st.sampled_from(["userHeader", "request"]))
def test_sums_are_those_of_the_units_when_anything_is_told_in_any_order(
    told: list[dict[str, Any]], size: int, unit: str
) -> None:
    async def main() -> None:
        now = START + 9000.0
        store = MemoryOutcomeStore(lambda: now)
        await store.open_experiment("x", MODEL, spec(unit=unit, attributionWindowSeconds=9000), SALT, START)
        for index, weights in enumerate(((900, 100), (500, 500))):
            arms = {"stable": weights[0], "candidate-a": weights[1]}
            await store.start_epoch("x", index, arms, START + index * 600)
        outcomes = [
            Outcome(
                model=MODEL,
                at=START + item["after_seconds"],
                value=None if item["metric"] is None else item["value"],
                **{name: item[name] for name in ("id", "user_id", "request_id", "slot", "metric")},
            )
            for item in told
        ]
        for start in range(0, len(outcomes), size):
            batch = outcomes[start : start + size]
            results = await store.ingest(batch)
            assert [result.id for result in results] == [outcome.id for outcome in batch]
        sums = (await store.sums(["x"]))["x"]
        units = list(store.units("x").values())
        assert sum(sum(epoch.units.values()) for epoch in sums.epochs.values()) == len(units)
        for epoch, outcome_sums in sums.epochs.items():
            for arm in ("stable", "candidate-a"):
                mine = [u.amounts for u in units if (u.epoch, u.arm) == (epoch, arm)]
                assert outcome_sums.units.get(arm, 0) == len(mine)
                for place, metric in enumerate(("conversion", "rating", "spend")):
                    pairs = [(amounts[2 * place], amounts[2 * place + 1]) for amounts in mine]
                    pairs = [(y, m) for y, m in pairs if m > 0]
                    found = outcome_sums.metrics.get(metric, {}).get(arm)
                    expected = [len(pairs), *(sum(column) for column in zip(*pairs, strict=True))]
                    assert ([found.n, found.numerator, found.denominator] if found else [0]) == expected
                    if found:
                        assert found.numerator_squares == sum(y * y for y, _ in pairs)
                        assert found.products == sum(y * m for y, m in pairs)

    asyncio.run(main())
