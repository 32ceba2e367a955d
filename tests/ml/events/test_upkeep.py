"""Idempotency keys, audit, partitions, the command line, and outcomes that arrive all at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from typing import Any

import psycopg
import pytest

from ml.events.audit import Audit, AuditEntry
from ml.events.counting import Outcome
from ml.events.idempotency import Answered, Fresh, Idempotency, InProgress, Mismatch
from ml.events.migrations import STEPS
from ml.events.outcomes import PostgresOutcomeStore
from ml.events.partitions import RETENTION_SECONDS, WEEK_SECONDS, keep_retained, retain, week_of
from ml.events.pool import DatabaseSettings, Pool, connection
from tests.ml.events.conftest import OnPostgres
from tests.ml.events.lives import spec

pytestmark = pytest.mark.slow
NOW = 1_800_000_000.0
MODEL = "content_quality_model"


def test_first_answer_is_given_again_when_the_key_is(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        keys = Idempotency(pool)
        assert await keys.begin("ann POST /x", "k", "h1") == Fresh()
        assert await keys.begin("ann POST /x", "k", "h1") == InProgress()
        await keys.finish("ann POST /x", "k", 201, {"location": "/x/1"}, b'{"a": 1}')
        assert await keys.begin("ann POST /x", "k", "h1") == Answered(201, {"location": "/x/1"}, b'{"a": 1}')
        assert await keys.begin("ann POST /x", "k", "h2") == Mismatch()
        assert await keys.begin("bob POST /x", "k", "h2") == Fresh()
        await keys.forget("ann POST /x", "k")
        assert isinstance(await keys.begin("ann POST /x", "k", "h1"), Answered), "an answer is not forgotten"
        await keys.forget("bob POST /x", "k")
        assert await keys.begin("bob POST /x", "k", "h3") == Fresh()

    on_postgres(action)


def test_one_is_fresh_when_many_begin_at_once(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> list[Any]:
        return await asyncio.gather(*(Idempotency(pool).begin("s", "k", "h") for _ in range(8)))

    found = on_postgres(action)
    assert sorted(type(item).__name__ for item in found) == ["Fresh"] + ["InProgress"] * 7


def test_key_is_fresh_again_when_it_is_old_or_was_abandoned(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        keys = Idempotency(pool)
        for key, answered, age_seconds in (("old", True, 86_401), ("left", False, 61), ("new", True, 86_000)):
            await keys.begin("s", key, "h")
            if answered:
                await keys.finish("s", key, 200, {}, b"")
            async with connection(pool) as lent:
                await lent.execute(
                    "UPDATE idempotency_keys SET begun_at = begun_at - make_interval(secs => %s) WHERE key = %s",
                    (age_seconds, key),
                )
        assert await keys.begin("s", "old", "h") == Fresh()
        assert await keys.begin("s", "left", "h") == Fresh()
        assert await keys.begin("s", "new", "h") == Answered(200, {}, b"")

    on_postgres(action)


def test_audit_keeps_entries_and_refuses_changes(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        audit = Audit(pool)
        for number, target in enumerate(("x", "y", "x")):
            await audit.record(
                AuditEntry(
                    at=float(number),
                    request_id=f"r{number}",
                    subject="ann",
                    action="stop",
                    target=target,
                    why="",
                    status=409,
                    details={"phase": "Promoted"},
                )
            )
        entries = await audit.entries("x")
        assert [(entry.request_id, entry.details) for entry in entries] == [
            ("r0", {"phase": "Promoted"}),
            ("r2", {"phase": "Promoted"}),
        ]
        assert [entry.request_id for entry in await audit.entries(after=entries[0].id, limit=1)] == ["r1"]
        async with connection(pool) as lent:
            with pytest.raises(psycopg.DatabaseError, match="append-only"):
                await lent.execute("DELETE FROM api_audit")

    on_postgres(action)


def test_old_weeks_are_dropped_and_sums_stay_when_retained(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        now = NOW
        store = PostgresOutcomeStore(pool, lambda: now)
        await store.open_experiment("x", MODEL, spec(), f"{MODEL}-00", NOW - 10)
        await store.start_epoch("x", 0, {"stable": 500, "candidate-a": 500}, NOW - 10)
        told = Outcome(id="1", model=MODEL, at=NOW, user_id="u", slot="stable", metric="spend", value=2.0)
        await store.ingest([told])
        await store.close_experiment("x", NOW + 1)
        before = await store.sums(["x"])
        assert await retain(pool, NOW) == []
        assert await retain(pool, NOW) == []
        now = NOW + 13 * WEEK_SECONDS
        assert await retain(pool, now, 12 * WEEK_SECONDS) == [f"outcomes_week_{week_of(NOW)}"]
        async with connection(pool) as lent:
            rows = await (
                await lent.execute("SELECT (SELECT count(*) FROM outcomes), count(*) FROM counted_units")
            ).fetchall()
        assert rows == [(0, 0)]
        assert await store.sums(["x"]) == before

    on_postgres(action)


_WATCH_DELETIONS = """
CREATE TABLE deletions (transaction bigint, units bigint, locks bigint);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deletions SELECT txid_current(), (SELECT count(*) FROM gone), count(*) FROM pg_locks
    WHERE pid = pg_backend_pid() AND relation = 'outcomes'::regclass;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER DELETE ON counted_units REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION note();"""


def test_old_units_go_a_few_at_a_time_and_without_a_lock_on_outcomes_when_retained(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        store = PostgresOutcomeStore(pool, lambda: NOW)
        for name, ended_at in (("old", NOW - RETENTION_SECONDS - 1), ("young", NOW - RETENTION_SECONDS + 1)):
            await store.open_experiment(name, MODEL, spec(), f"{MODEL}-00", NOW - RETENTION_SECONDS - 9)
            await store.close_experiment(name, ended_at)
        async with connection(pool) as lent:
            await lent.execute(_WATCH_DELETIONS)
            await lent.execute(
                "INSERT INTO counted_units SELECT number, unit::text, 0, 'stable', 1, NULL, '{}' "
                "FROM counted_experiments, generate_series(1, 35) AS unit"
            )
        await retain(pool, NOW, units_at_once=10)
        async with connection(pool) as lent:
            query = "SELECT units, locks, count(*) OVER (PARTITION BY transaction) FROM deletions ORDER BY transaction"
            assert await (await lent.execute(query)).fetchall() == [(10, 0, 1), (10, 0, 1), (10, 0, 1), (5, 0, 1)]
            query = "SELECT id, count(*) FROM counted_units JOIN counted_experiments USING (number) GROUP BY id"
            assert await (await lent.execute(query)).fetchall() == [("young", 35)]

    on_postgres(action)


def test_retention_leaves_alone_what_somebody_else_has_added(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        async with connection(pool) as lent:
            await lent.execute("CREATE TABLE outcomes_of_a_person PARTITION OF outcomes DEFAULT")
        assert await retain(pool, NOW) == []
        async with connection(pool) as lent:
            found = await (await lent.execute("SELECT to_regclass('outcomes_of_a_person')::text")).fetchone()
            assert found == ("outcomes_of_a_person",)

    on_postgres(action)


def test_retention_gives_up_soon_and_tries_again_when_somebody_reads_outcomes_for_long(
    on_postgres: OnPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    long_ago = time.time() - RETENTION_SECONDS - 2 * WEEK_SECONDS
    told = Outcome(id="1", model=MODEL, at=long_ago, user_id="u", slot="stable", metric="spend", value=2.0)
    known = [f"outcomes_week_{week_of(long_ago)}"]

    async def weeks(pool: Pool) -> list[str]:
        async with connection(pool) as lent:
            query = "SELECT relid::text FROM pg_partition_tree('outcomes') WHERE isleaf AND parentrelid IS NOT NULL"
            return [name for (name,) in await (await lent.execute(query)).fetchall()]

    async def action(pool: Pool) -> None:
        store = PostgresOutcomeStore(pool, lambda: long_ago)
        await store.ingest([told])
        assert await weeks(pool) == known
        async with asyncio.timeout(20):
            async with connection(pool) as reading, reading.transaction():
                await reading.execute("SELECT count(*) FROM outcomes")
                keeping = asyncio.create_task(keep_retained(pool, every_seconds=0.1))
                await asyncio.sleep(0.5)
                assert [answer.status for answer in await store.ingest([told])] == ["duplicate"]
                while "lock timeout" not in caplog.text:
                    await asyncio.sleep(0.05)
            while known[0] in await weeks(pool):
                await asyncio.sleep(0.05)
        assert not keeping.done()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    on_postgres(action)


def test_each_outcome_counts_once_when_batches_overlap_and_run_at_once(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        stores = [PostgresOutcomeStore(pool, lambda: NOW) for _ in range(3)]
        for store in stores:
            await store.open_experiment("x", MODEL, spec(), f"{MODEL}-00", NOW - 10)
            await store.start_epoch("x", 0, {"stable": 500, "candidate-a": 500}, NOW - 10)
        told = [
            Outcome(id=f"{n}", model=MODEL, at=NOW, user_id=f"u{n % 50}", slot="stable", metric="spend", value=1.0)
            for n in range(300)
        ]
        batches = [told[start : start + 100] for start in range(0, 250, 25)]
        answers = await asyncio.gather(*(stores[n % 3].ingest(batch) for n, batch in enumerate(batches)))
        statuses = [answer.status for batch in answers for answer in batch]
        assert statuses.count("counted") == 300
        assert set(statuses) == {"counted", "duplicate"}
        sums = (await stores[0].sums(["x"]))["x"].epochs[0]
        assert sums.units == {"stable": 50}
        total = sums.metrics["spend"]["stable"]
        assert (total.n, total.numerator, total.numerator_squares) == (50, 300.0, 50 * 36.0)

    on_postgres(action)


def _command(settings: DatabaseSettings, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_HOST": settings.host,
        "DATABASE_PORT": str(settings.port),
        "DATABASE_NAME": settings.database,
        "DATABASE_USER": settings.user,
        "DATABASE_PASSWORD": settings.password,
        **changes,
    }
    return subprocess.run(
        [sys.executable, "-m", "ml.events", *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_commands_do_their_work_and_say_what_when_run(database: DatabaseSettings) -> None:
    assert _command(database, "migrate").stdout == f"{len(STEPS)} steps applied\n"
    assert _command(database, "migrate").stdout == "0 steps applied\n"
    assert _command(database, "rebuild", "experiments").stdout == "0 events applied\n"
    assert _command(database, "retain").stdout == "dropped: nothing\n"


@pytest.mark.parametrize(
    ("arguments", "changes", "said"),
    [
        (("rebuild", "other"), {}, "projection='other': allowed are ['experiments', 'models']"),
        ((), {}, "arguments=[]: allowed are"),
        (("migrate",), {"DATABASE_PORT": "x", "DATABASE_HOST": ""}, "DATABASE_HOST is not set"),
        (("migrate",), {"DATABASE_PORT": "0"}, "DATABASE_PORT='0': allowed are 1 to 65535"),
        (("migrate",), {"DATABASE_PORT": "1"}, "event store"),
    ],
)
def test_command_fails_with_the_reason_when_it_cannot(
    database: DatabaseSettings, arguments: tuple[str, ...], changes: dict[str, str], said: str
) -> None:
    if arguments[:1] == ("rebuild",):
        _command(database, "migrate")
    done = _command(database, *arguments, **changes)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert database.password not in done.stderr
