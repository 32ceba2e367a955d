"""The event store: one suite for memory and PostgreSQL, then what only PostgreSQL promises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from ml.events.memory import MemoryEventStore
from ml.events.pool import DatabaseSettings, Pool, connection, open_pool
from ml.events.ports import EventStore, StoreUnavailableError, VersionConflictError
from ml.events.schema import CHANNEL, SchemaTooNewError, migrate, schema_step
from ml.events.store import PostgresEventStore
from ml.events.types import DecisionMade, PhaseEntered
from tests.ml.events.conftest import OnPostgres, run_on
from tests.ml.events.lives import created, entered
from tests.support.postgres import PostgresServer, own_postgres

OnStore = Callable[[Callable[[Any], Awaitable[Any]]], Any]


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.slow)])
def on_store(request: pytest.FixtureRequest) -> OnStore:
    """Run a test's coroutine with a store."""
    if request.param == "memory":

        async def main(action: Callable[[EventStore], Awaitable[Any]]) -> Any:
            return await action(MemoryEventStore())

        return lambda action: asyncio.run(main(action))
    on_postgres: OnPostgres = request.getfixturevalue("on_postgres")
    return lambda action: on_postgres(lambda pool: action(PostgresEventStore(pool)))


def test_events_come_back_equal_and_in_order_when_appended(on_store: OnStore) -> None:
    events = [created(), entered("Ramping"), entered("Running", 1002.25)]

    async def action(store: EventStore) -> None:
        assert await store.append("experiment-a", 0, events[:1]) == 1
        assert await store.append("experiment-a", 1, events[1:]) == 3
        stored = await store.read("experiment-a")
        assert [item.event for item in stored] == events
        assert [item.position for item in stored] == [1, 2, 3]
        assert {item.stream for item in stored} == {"experiment-a"}
        assert [item.position for item in await store.read("experiment-a", after=2)] == [3]
        assert list(await store.read("experiment-b")) == []

    on_store(action)


@pytest.mark.parametrize("expected", [0, 1, 3, 7])
def test_nothing_is_written_when_the_stream_has_another_length(on_store: OnStore, expected: int) -> None:
    async def action(store: EventStore) -> None:
        await store.append("s", 0, [created(), entered("Ramping")])
        with pytest.raises(VersionConflictError, match="stream s has 2 events"):
            await store.append("s", expected, [entered("Running"), entered("Promoting")])
        assert len(await store.read("s")) == 2

    on_store(action)


def test_one_wins_when_many_append_at_once(on_store: OnStore) -> None:
    async def action(store: EventStore) -> None:
        results = await asyncio.gather(
            *(store.append("s", 0, [entered("Running", at=float(i))]) for i in range(8)), return_exceptions=True
        )
        assert sorted(str(type(item).__name__) for item in results) == ["VersionConflictError"] * 7 + ["int"]
        assert len(await store.read("s")) == 1

    on_store(action)


def test_log_has_all_streams_in_order_when_read_in_pieces(on_store: OnStore) -> None:
    async def action(store: Any) -> None:
        for i in range(10):
            await store.append(f"s{i % 3}", i // 3, [entered("Running", at=float(i))])
        seen: list[float] = []
        place = 0
        while piece := await store.log(place, 3):
            seen += [stored.event.at for _, stored in piece]
            place = piece[-1][0]
        assert seen == [float(i) for i in range(10)]

    on_store(action)


def test_numbers_keep_every_digit_when_stored(on_store: OnStore) -> None:
    numbers = [0.1 + 0.2, 1e22, 5e-324, 1.7976931348623157e308, -0.0, 3.0, 3, 2**53 + 1]
    event = DecisionMade(
        at=1e9 + 1 / 3, inputs={"x": numbers}, decision={"é": None}, input_hash="", previous_hash="", hash=""
    )

    async def action(store: EventStore) -> None:
        await store.append("s", 0, [event])
        read = (await store.read("s"))[0].event
        assert repr(read) == repr(event)

    on_store(action)


# PostgreSQL only -----------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_log_never_passes_over_an_event_when_appenders_overlap(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        store, seen, place, done = PostgresEventStore(pool), list[str](), 0, False

        async def write(name: str) -> None:
            for i in range(40):
                await store.append(name, i, [entered("Running", at=float(i))])

        async def tail() -> None:
            nonlocal place
            while True:
                finished = done
                for where, stored in await store.log(place, 1000):
                    assert where > place
                    place = where
                    seen.append(f"{stored.stream}/{stored.position}")
                if finished:
                    return

        reader = asyncio.create_task(tail())
        await asyncio.gather(*(write(f"s{n}") for n in range(3)))
        done = True
        await reader
        assert sorted(seen) == sorted(f"s{n}/{i + 1}" for n in range(3) for i in range(40))

    on_postgres(action)


@pytest.mark.slow
@pytest.mark.parametrize("statement", ["UPDATE events SET type = 'x'", "DELETE FROM events", "TRUNCATE events"])
def test_events_stay_when_their_own_user_tries_to_change_them(on_postgres: OnPostgres, statement: Any) -> None:
    async def action(pool: Pool) -> None:
        store = PostgresEventStore(pool)
        await store.append("s", 0, [created()])
        async with connection(pool) as lent:
            with pytest.raises(psycopg.DatabaseError, match="append-only"):
                await lent.execute(statement)
        assert [item.event for item in await store.read("s")] == [created()]

    on_postgres(action)


@pytest.mark.slow
def test_listener_is_told_the_stream_when_something_is_appended(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> list[str]:
        async with connection(pool) as lent:
            await lent.execute(f"LISTEN {CHANNEL}")
            await PostgresEventStore(pool).append("experiment-a", 0, [created()])
            return [note.payload async for note in lent.notifies(timeout=5, stop_after=1)]

    assert on_postgres(action) == ["experiment-a"]


@pytest.mark.slow
def test_schema_is_made_once_when_many_migrate_at_once(database: DatabaseSettings) -> None:
    async def main() -> list[int]:
        async with open_pool(database, size=4) as pool:
            assert await schema_step(pool) == 0
            applied = await asyncio.gather(*(migrate(pool) for _ in range(4)))
            assert await schema_step(pool) == sum(applied)
            return sorted(applied)

    applied = asyncio.run(main())
    assert applied[:3] == [0, 0, 0]
    assert applied[3] > 0


@pytest.mark.slow
def test_migration_refuses_when_the_database_is_newer(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        async with connection(pool) as lent:
            await lent.execute("INSERT INTO schema_steps VALUES (99, now())")
        with pytest.raises(SchemaTooNewError, match="99 steps"):
            await migrate(pool)

    on_postgres(action)


@pytest.mark.slow
def test_store_says_unavailable_and_recovers_when_the_server_goes_and_returns() -> None:
    async def main(server: PostgresServer, settings: DatabaseSettings) -> None:
        async with open_pool(settings, wait_seconds=0.5) as pool:
            store = PostgresEventStore(pool)
            assert len(await store.read("s")) == 1
            server.stop()
            for _ in range(2):
                with pytest.raises(StoreUnavailableError, match="event store"):
                    await store.read("s")
                with pytest.raises(StoreUnavailableError, match="event store"):
                    await store.append("s", 1, [PhaseEntered(at=1.0, phase="Running", reason="")])
            server.start()
            for _ in range(60):
                try:
                    assert len(await store.read("s")) == 1
                except StoreUnavailableError:
                    await asyncio.sleep(0.2)
                else:
                    break
            assert await store.append("s", 1, [entered("Running")]) == 2

    with own_postgres() as server:
        settings = server.new_database()
        run_on(settings, lambda pool: PostgresEventStore(pool).append("s", 0, [created()]))
        asyncio.run(main(server, settings))
