"""Sums stay those of the units, whatever was reported and taken back: one suite for memory and PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.events import schema
from ml.events.counting import LARGEST_VALUE, Outcome
from ml.events.migrations import STEPS
from ml.events.outcomes import PostgresOutcomeStore
from ml.events.pool import DatabaseSettings, connection, open_pool
from ml.experiments.ratio import RatioSums, ratio_sums
from tests.ml.events.lives import spec
from tests.ml.events.reporting import MODEL, SALT, START, OnOutcomes, World

_METRICS = ("conversion", "rating", "spend")
_numbers = itertools.count(1)
_values = st.floats(-LARGEST_VALUE, LARGEST_VALUE) | st.sampled_from([0.1, 5e-324, 1e-160, LARGEST_VALUE])
_reports = st.tuples(st.sampled_from("abcd"), st.sampled_from(_METRICS), _values | st.just(None))
"""User, metric and value; None takes back what the user reported of the metric, as far as one report can."""
Units = dict[tuple[str, str], tuple[float, float]]
"""Per metric and user: numerator and denominator."""


def test_others_keep_their_squares_when_one_takes_back_a_huge_value(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open()
        spent = [20.0 + number % 3 for number in range(100)]
        for metric in ("spend", "rating"):
            typed = [world.outcome("typo", slot="stable", metric=metric, value=v) for v in (1e9, -1e9)]
            others = [
                world.outcome(f"{metric}-{n}", slot="stable", metric=metric, value=v) for n, v in enumerate(spent)
            ]
            for outcome in (typed[0], *others, typed[1]):
                assert await world.tell(outcome) == ["counted"]
        metrics = (await world.sums()).epochs[0].metrics
        assert metrics["rating"]["stable"] == ratio_sums([*spent, 0.0], [1.0] * 100 + [2.0])
        assert metrics["spend"]["stable"] == ratio_sums([*spent, 0.0] + [0.0] * 100, [1.0] * 201)

    on_outcomes(action)


def _expected(units: Units, metric: str) -> RatioSums:
    pairs = [(Fraction(y), Fraction(m)) for (name, _), (y, m) in units.items() if name == metric]
    sums = (sum(column, Fraction()) for column in zip(*((y, m, y * y, m * m, y * m) for y, m in pairs), strict=True))
    return RatioSums(len(pairs), *(float(total) for total in sums))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_reports, min_size=1, max_size=25), st.integers(1, 6))
def test_sums_are_exactly_those_of_the_units_when_anything_is_reported_and_taken_back(
    on_outcomes: OnOutcomes, reports: list[tuple[str, str, float | None]], size: int
) -> None:
    async def action(world: World) -> None:
        experiment = f"x{next(_numbers)}"
        await world.open(experiment)
        units: Units = {}
        told: list[Outcome] = []
        for number, (user, metric, value) in enumerate(reports):
            for other in ("conversion", "spend"):
                units.setdefault((other, user), (0.0, 1.0))
            y, m = units.get((metric, user), (0.0, 0.0))
            reported = min(max(-y, -LARGEST_VALUE), LARGEST_VALUE) if value is None else value
            now = y + reported
            units[metric, user] = {
                "conversion": (1.0 if reported > 0 else y, 1.0),
                "rating": (now, m + 1.0),
                "spend": (now, 1.0),
            }[metric]
            said = world.outcome(f"{experiment}-{user}", slot="stable", metric=metric, value=reported)
            told.append(replace(said, id=f"{experiment}-{number}"))
        for start in range(0, len(told), size):
            assert set(await world.tell(*told[start : start + size])) == {"counted"}
        await world.store.close_experiment(experiment, world.now - 86_400)
        found = (await world.sums(experiment)).epochs[0].metrics
        assert {metric: arms["stable"] for metric, arms in found.items()} == {
            metric: _expected(units, metric) for metric in {metric for metric, _ in units}
        }

    on_outcomes(action)


@pytest.mark.slow
def test_sums_keep_every_digit_when_a_database_of_before_is_migrated(
    database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = RatioSums(3, 0.1, 3.0, 123456789.12345679, 3.0, 0.1)

    async def main() -> None:
        async with open_pool(database) as pool:
            monkeypatch.setattr(schema, "STEPS", STEPS[:5])
            assert await schema.migrate(pool) == 5
            store = PostgresOutcomeStore(pool)
            await store.open_experiment("x", MODEL, spec(), SALT, START)
            await store.start_epoch("x", 0, {"stable": 500, "candidate-a": 500}, START)
            async with connection(pool) as lent:
                row = "INSERT INTO counted_sums VALUES (1, 0, 'stable', 'spend', %s, %s, %s, %s, %s, %s)"
                await lent.execute(row, tuple(vars(before).values()))
            monkeypatch.undo()
            assert await schema.migrate(pool) == len(STEPS) - 5
            assert (await store.sums(["x"]))["x"].epochs[0].metrics["spend"]["stable"] == before

    asyncio.run(main())
