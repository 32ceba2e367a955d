"""Queries on a real PostgreSQL: pages, the newest, thinned and cut stretches, and what is said without a schema."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ml.events.migrations import STEPS
from ml.events.pool import Pool
from ml.events.ports import StoreUnavailableError
from ml.events.projector import Projector
from ml.events.queries import LARGEST_STRETCH_CHARACTERS, Queries
from ml.events.records import Page
from ml.events.store import PostgresEventStore
from ml.events.types import DecisionMade, EpochStarted
from tests.ml.events.conftest import OnPostgres
from tests.ml.events.lives import created, decided, entered

pytestmark = pytest.mark.slow


async def _many(pool: Pool, total: int) -> None:
    store = PostgresEventStore(pool)
    for number in range(total):
        name = f"{'a_' if number % 3 else 'b%'}{number:03d}"
        fields: dict[str, Any] = {"name": name, "model": f"m{number % 2}", "at": 1000.0 + number // 2}
        events: list[Any] = [created(f"id-{number:03d}", **fields)]
        if number % 5 == 0:
            events.append(entered("Cancelled"))
        await store.append(f"experiment-id-{number:03d}", 0, events)
    await Projector(pool).catch_up()


Wanted = Callable[[int], bool]
FILTERS: list[tuple[dict[str, Any], Wanted]] = [
    ({}, lambda _n: True),
    ({"model": "m1"}, lambda n: n % 2 == 1),
    ({"phase": "Cancelled"}, lambda n: n % 5 == 0),
    ({"active": True}, lambda n: n % 5 != 0),
    ({"active": False, "model": "m0"}, lambda n: n % 10 == 0),
    ({"name_prefix": "a_0"}, lambda n: n % 3 != 0),
    ({"name_prefix": "b%0"}, lambda n: n % 3 == 0),
    ({"name_prefix": "%"}, lambda _n: False),
]


@pytest.mark.parametrize(("filters", "wanted"), FILTERS)
def test_pages_give_every_match_once_newest_first_when_followed(
    on_postgres: OnPostgres, filters: dict[str, Any], wanted: Wanted
) -> None:
    total = 40

    async def action(pool: Pool) -> list[str]:
        await _many(pool, total)
        queries, found, cursor = Queries(pool), list[str](), None
        while True:
            page = await queries.list_experiments(**filters, limit=7, cursor=cursor)
            lean = await queries.list_experiments(**filters, limit=7, cursor=cursor, documents=False)
            assert all(record.spec for record in page.items)
            bare = [replace(record, spec={}, specification={}, plan={}) for record in page.items]
            assert lean == Page(bare, page.next_cursor)
            found += [record.id for record in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return found

    assert on_postgres(action) == [f"id-{n:03d}" for n in reversed(range(total)) if wanted(n)]


def test_bad_arguments_are_refused_by_name_when_listing(on_postgres: OnPostgres) -> None:
    places: list[object] = [[], ["x", 1], [1e999, "a"], {}]
    forged = [base64.urlsafe_b64encode(json.dumps(item).encode()).decode() for item in places]

    async def action(pool: Pool) -> None:
        queries = Queries(pool)
        for cursor in ("no", "é", "====", *forged[:2], forged[3]):
            with pytest.raises(ValueError, match="cursor="):
                await queries.list_experiments(cursor=cursor)
        for limit in (0, 1001):
            with pytest.raises(ValueError, match="limit="):
                await queries.list_experiments(limit=limit)
        with pytest.raises(ValueError, match="points="):
            await queries.timeline("x", points=1)

    on_postgres(action)


def test_active_experiment_is_the_newest_with_weights_when_asked_for(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        store, queries = PostgresEventStore(pool), Queries(pool)
        begun = EpochStarted(at=3.0, index=0, weights={"stable": 1000, "candidate-a": 0})
        await store.append("experiment-a", 0, [created("a", at=1.0), begun])
        await store.append("experiment-b", 0, [created("b", at=2.0)])
        await store.append("experiment-c", 0, [created("c", at=3.0), begun, entered("Cancelled")])
        await Projector(pool).catch_up()
        record = await queries.active_experiment("content_quality_model")
        assert record is not None
        assert record.id == "a"
        assert await queries.active_experiment("other") is None

    on_postgres(action)


@pytest.mark.parametrize("total", [0, 1, 2, 9, 10, 11, 57])
def test_timeline_has_first_and_newest_and_few_points_when_thinned(on_postgres: OnPostgres, total: int) -> None:
    async def action(pool: Pool) -> list[float]:
        events = [created("a"), *(decided(float(number)) for number in range(total))]
        await PostgresEventStore(pool).append("experiment-a", 0, events)
        await Projector(pool).catch_up()
        return [item.at for item in await Queries(pool).timeline("a", points=10)]

    times = on_postgres(action)
    assert len(times) == min(total, 10)
    assert times == sorted(times)
    assert times[:1] == [0.0][:total]
    assert times[-1:] == [float(total - 1)][:total]


def test_stretch_ends_early_and_says_where_to_go_on_when_its_items_are_large(on_postgres: OnPostgres) -> None:
    total = 250
    words = "x" * (LARGEST_STRETCH_CHARACTERS // 40)

    def large(number: int) -> DecisionMade:
        made = decided(float(number))
        return made.model_copy(update={"decision": {**made.decision, "remark": words}})

    async def action(pool: Pool) -> None:
        events = [created("a"), *(large(number) for number in range(total))]
        await PostgresEventStore(pool).append("experiment-a", 0, events)
        await Projector(pool).catch_up()
        queries = Queries(pool)
        found: list[float] = []
        after: int | None = 1
        while after is not None:
            events_of = await queries.history("a", after)
            decisions = await queries.decision_texts("a", after)
            assert [item.position for item in events_of.items] == [item.position for item in decisions.items]
            assert sum(len(item.text) for item in decisions.items) < 1.1 * LARGEST_STRETCH_CHARACTERS
            assert all(json.loads(item.text)["remark"] == words for item in decisions.items)
            found += [item.at for item in decisions.items]
            after = decisions.next_after
        assert found == [float(number) for number in range(total)]

    on_postgres(action)


def test_primary_evidence_is_there_when_decisions_are_older_than_its_column(database: Any) -> None:
    from ml.events import schema
    from ml.events.pool import open_pool

    evidence = [{"role": "primary", "arm": "a", "estimate": 0.1}, {"role": "guardrail", "arm": "a", "estimate": 1 / 3}]
    made = decided(5.0)
    made = made.model_copy(update={"decision": {**made.decision, "evidence": evidence}})

    async def main() -> None:
        async with open_pool(database) as pool:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(schema, "STEPS", STEPS[:4])
                await schema.migrate(pool)
            await PostgresEventStore(pool).append("experiment-a", 0, [created("a"), made])
            await Projector(pool).catch_up()
            assert await schema.migrate(pool) == len(STEPS) - 4
            await PostgresEventStore(pool).append("experiment-a", 2, [made, decided(6.0)])
            await Projector(pool).catch_up()
            points = await Queries(pool).timeline("a")
            assert [point.evidence for point in points] == [evidence[:1], evidence[:1], []]

    asyncio.run(main())


def test_queries_say_unavailable_when_there_is_no_schema_yet(database: Any) -> None:
    from ml.events.pool import open_pool

    async def main() -> None:
        async with open_pool(database) as pool:
            assert not await Queries(pool).ping()
        gone = database.__class__(**{**database.__dict__, "port": 1})
        async with open_pool(gone, wait_seconds=0.2) as pool:
            with pytest.raises(StoreUnavailableError):
                await Queries(pool).ping()

    asyncio.run(main())
