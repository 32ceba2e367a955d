"""Fills a database with 10,000 experiments and a million events, as controller and projector would have.

Some hundred experiments are real: their events are appended by the event store and projected by the projector. The
others are copies of them, made by SQL, with an id, a name and a beginning of their own: in the log only the first event
of a stream names these (it is written anew), in the read models they are columns. That a copy's rows are what the
projector makes of the copy's events is checked for some of them before anything is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from bench.api.lives import METRICS, Life, long_life, short_life
from ml.events.pool import Connection, Pool, connection
from ml.events.ports import Stored
from ml.events.projections import PROJECTIONS
from ml.events.projector import Projector
from ml.events.schema import migrate
from ml.events.store import PostgresEventStore
from ml.events.types import EXPERIMENT_PREFIX, ModelRegistered, Phase, experiment_stream, model_stream
from ml.events.upcasting import from_text, to_text

EXPERIMENTS: Final = 10_000
MODELS: Final = tuple(f"model_{number:02d}" for number in range(20))
LONG: Final = "long"
_ENDINGS: Final[tuple[Phase, ...]] = ("Promoted", "RolledBack", "Inconclusive", "Cancelled")
_VERSIONS_EACH: Final = 10
_AT_ONCE: Final = 500
"""So many experiments run at the same time; their events lie mixed on the disk."""
_CHECKED: Final = 12
_SECONDS_APART: Final = 60.0
_BATCH: Final = 500


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What there is to ask for."""

    ended: Sequence[str]
    """Ids of experiments that are over, newest first."""
    running: Sequence[str]
    events: int
    decisions: int


async def fill(pool: Pool) -> Filled:
    """Fill an empty database.

    Raises:
        RuntimeError: a copy is not what the projector would have made.
    """
    await migrate(pool)
    running = [short_life(f"running-{model}", model, "Running") for model in MODELS]
    patterns = [short_life(f"pattern-{model}-{phase}".lower(), model, phase) for model in MODELS for phase in _ENDINGS]
    await _really(pool, [*running, *patterns, long_life(LONG, MODELS[0])])
    copies = [f"copy-{number:05d}" for number in range(EXPERIMENTS - len(running) - len(patterns) - 1)]
    async with connection(pool) as lent:
        await _describe(lent, copies, patterns)
        for start in range(0, len(copies), _AT_ONCE):
            await _copy(lent, start, start + _AT_ONCE)
        await lent.execute("UPDATE projections SET position = (SELECT max(position) FROM events)")
        await _count_outcomes(lent)
        for uid in copies[:: len(copies) // _CHECKED]:
            await _check(lent, uid)
        await lent.execute("VACUUM (ANALYZE)")
        events, decisions = await _size(lent, "events"), await _size(lent, "decisions")
    return Filled(ended=copies, running=[life.uid for life in running], events=events, decisions=decisions)


async def _really(pool: Pool, lives: Sequence[Life]) -> None:
    store = PostgresEventStore(pool)
    for model in MODELS:
        versions = [
            ModelRegistered(at=float(n), model=model, model_version=n, run=f"run-{n}", metrics={"accuracy": 0.9})
            for n in range(1, _VERSIONS_EACH + 1)
        ]
        await store.append(model_stream(model), 0, versions)
    for life in lives:
        for length in range(0, len(life.events), _BATCH):
            await store.append(experiment_stream(life.uid), length, life.events[length : length + _BATCH])
    await Projector(pool).catch_up()


# Copies --------------------------------------------------------------------------------------------------------------
async def _describe(lent: Connection, copies: Sequence[str], patterns: Sequence[Life]) -> None:
    """Write down which copy is of which pattern, and its first event."""
    await lent.execute("""
        CREATE TEMPORARY TABLE copies (
            number integer PRIMARY KEY, uid text, name text, pattern text, created_at double precision, created text
        )""")
    async with (
        lent.transaction(),
        lent.cursor() as cursor,
        cursor.copy("COPY copies FROM STDIN") as copy,
    ):
        for number, uid in enumerate(copies):
            pattern = patterns[number % len(patterns)]
            at = pattern.created.at - _SECONDS_APART * (number + 1)
            fields = {"at": at, "experiment": uid, "name": f"test-{uid}"}
            created = pattern.created.model_copy(update=fields)
            await copy.write_row((number, uid, created.name, pattern.uid, at, to_text(created)))
    await lent.execute("ANALYZE copies")


async def _copy(lent: Connection, start: int, end: int) -> None:
    await lent.execute(
        """
        INSERT INTO events (stream, version, type, data)
        SELECT %(prefix)s || c.uid, e.version, e.type, CASE WHEN e.version = 1 THEN c.created::json ELSE e.data END
        FROM copies c JOIN events e ON e.stream = %(prefix)s || c.pattern
        WHERE c.number >= %(start)s AND c.number < %(end)s ORDER BY e.version, c.number""",
        {"prefix": EXPERIMENT_PREFIX, "start": start, "end": end},
    )
    for table in PROJECTIONS["experiments"].tables:
        key, own = _own_columns(table)
        names = await _columns(lent, table)
        values = [sql.SQL("c.{}").format(sql.Identifier(own[n])) if n in own else sql.Identifier("t", n) for n in names]
        query = sql.SQL(
            "INSERT INTO {table} ({names}) SELECT {values} FROM copies c JOIN {table} t ON t.{key} = c.pattern "
            "WHERE c.number >= %s AND c.number < %s ORDER BY {order}"
        ).format(
            table=sql.Identifier(table),
            names=sql.SQL(", ").join(map(sql.Identifier, names)),
            values=sql.SQL(", ").join(values),
            key=sql.Identifier(key),
            order=sql.SQL("t.position, c.number") if "position" in names else sql.SQL("c.number"),
        )
        await lent.execute(query, (start, end))


def _own_columns(table: str) -> tuple[str, Mapping[str, str]]:
    """Return the column with the experiment's id, and what a copy has for itself: column here, column in `copies`."""
    if table == "experiments":
        return "id", {"id": "uid", "name": "name", "created_at": "created_at"}
    return "experiment", {"experiment": "uid"}


async def _columns(lent: Connection, table: str) -> list[str]:
    query = """
        SELECT attname FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum"""
    return [str(name) for (name,) in await (await lent.execute(query, (table,))).fetchall()]


async def _count_outcomes(lent: Connection) -> None:
    """Give every experiment sums of outcomes: 400 users an epoch, all metrics."""
    metrics = list(METRICS)
    await lent.execute("""
        INSERT INTO counted_experiments (id, model, spec, salt, started_at, ended_at, newest_at)
        SELECT id, model, spec, 'salt', started_at, ended_at, started_at + 600 FROM experiments""")
    await lent.execute("""
        INSERT INTO counted_epochs
        SELECT x.number, e.index, (SELECT json_agg(json_build_array(key, value)) FROM json_each(e.weights)), e.at
        FROM experiment_epochs e JOIN counted_experiments x ON x.id = e.experiment ORDER BY x.number, e.index""")
    await lent.execute("""
        INSERT INTO counted_arms
        SELECT number, index, weight->>0, 400 * (weight->>1)::integer / 1000
        FROM counted_epochs, json_array_elements(weights) AS weight ORDER BY number, index""")
    await lent.execute(
        """
        INSERT INTO counted_sums
        SELECT number, epoch, arm, metric, units, units / 2, units, units / 2, units, units / 2
        FROM counted_arms, unnest(%s::text[]) AS metric ORDER BY number, epoch""",
        (metrics,),
    )


# Checks --------------------------------------------------------------------------------------------------------------
async def _check(lent: Connection, uid: str) -> None:
    """Let the projector's own statements make the rows of a copy from its events, and compare."""
    projection = PROJECTIONS["experiments"]
    query = "SELECT version, data::text FROM events WHERE stream = %s ORDER BY version"
    stored = await (await lent.execute(query, (experiment_stream(uid),))).fetchall()
    copied = await _rows(lent, uid)
    async with lent.transaction(force_rollback=True):
        for table in projection.tables:
            key, _ = _own_columns(table)
            query = sql.SQL("DELETE FROM {} WHERE {} = %s").format(sql.Identifier(table), sql.Identifier(key))
            await lent.execute(query, (uid,))
        for version, text in stored:
            event = Stored(stream=experiment_stream(uid), position=version, event=from_text(text))
            for statement, values in projection.statements(event):
                await lent.execute(statement, values)
        projected = await _rows(lent, uid)
    if copied != projected or not copied["decisions"]:
        raise RuntimeError(f"{uid} is not what the projector makes of its events")


async def _rows(lent: Connection, uid: str) -> Mapping[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table in PROJECTIONS["experiments"].tables:
        key, _ = _own_columns(table)
        query = sql.SQL("SELECT to_json(t)::text FROM {} t WHERE {} = %s ORDER BY 1").format(
            sql.Identifier(table), sql.Identifier(key)
        )
        found[table] = await (await lent.execute(query, (uid,))).fetchall()
    return found


async def _size(lent: Connection, table: str) -> int:
    row = await (await lent.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))).fetchone()
    return int(row[0]) if row else 0
