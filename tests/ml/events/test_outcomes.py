"""Outcomes and their sums: one suite for memory and PostgreSQL."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.events.counting import Outcome
from ml.events.memory_outcomes import MemoryOutcomeStore
from ml.events.outcomes import PostgresOutcomeStore
from ml.events.ports import OutcomeStore
from ml.experiments.ratio import RatioSums, ratio_sums
from tests.ml.events.lives import spec
from tests.ml.events.reporting import MODEL, SALT, START, OnOutcomes, World, user_in


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
        ({"metric": "spend", "value": -1.01e9}, "value="),
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
