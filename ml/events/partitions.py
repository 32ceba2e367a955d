"""Weekly partitions of the outcomes: made when needed, dropped when all in them is too old."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NoReturn

import psycopg
from psycopg import sql

from ml.events.pool import Connection, Pool, connection
from ml.events.ports import StoreUnavailableError

WEEK_SECONDS: Final = 7 * 86_400
RETENTION_SECONDS: Final = 90 * 86_400.0
_LOCK: Final = 7310463
_LOCK_MILLISECONDS: Final = 2000
_PREFIX: Final = "outcomes_week_"
_UNITS_AT_ONCE: Final = 10_000
"""As many as go well within the time that a statement may take, should each lie on another page of a slow disk."""
_WITH_OLD_UNITS: Final = """
SELECT number FROM counted_experiments x
CROSS JOIN LATERAL (SELECT unit FROM counted_units u WHERE u.number = x.number ORDER BY unit LIMIT 1) AS first
WHERE ended_at < %s"""
_LAST_OF_PART: Final = """
SELECT max(unit) FROM (
    SELECT unit FROM counted_units WHERE number = %s AND unit > %s ORDER BY unit LIMIT %s) AS part"""
_DELETE_PART: Final = "DELETE FROM counted_units WHERE number = %s AND unit > %s AND unit <= %s"
_log = logging.getLogger(__name__)


def week_of(at: float) -> int:
    """Return the number of the week that a moment (seconds since 1970) lies in."""
    return math.floor(at / WEEK_SECONDS)


class Partitions:
    """Remembers which weeks have their partition."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: set[int] = set()

    async def ensure(self, moments: Iterable[float]) -> None:
        """Make the partitions that are missing."""
        missing = {week_of(at) for at in moments} - self._known
        if not missing:
            return
        async with connection(self._pool) as lent, lent.transaction():
            await _lock(lent)
            for week in sorted(missing):
                await _create(lent, week)
        self._known |= missing


async def retain(
    pool: Pool, now: float, retention_seconds: float = RETENTION_SECONDS, *, units_at_once: int = _UNITS_AT_ONCE
) -> list[str]:
    """Make the partitions of this and the next week and drop those whose outcomes are all older than the retention.

    Then go the units of experiments that ended that long ago; their sums stay. There may be many millions, so they go a
    part at a time and after the lock on the outcomes, for which those that arrive have to wait.

    Returns:
        The names of the partitions that were dropped.

    Raises:
        StoreUnavailableError: no answer, or somebody else holds the outcomes.
    """
    oldest_week = week_of(now - retention_seconds)
    dropped: list[str] = []
    async with connection(pool) as lent:
        async with lent.transaction():
            await _lock(lent)
            for week in (week_of(now), week_of(now) + 1):
                await _create(lent, week)
            query = "SELECT relid::text FROM pg_partition_tree('outcomes') WHERE isleaf AND parentrelid IS NOT NULL"
            for (name,) in await (await lent.execute(query)).fetchall():
                week = str(name).removeprefix(_PREFIX)
                # One that somebody else has added is somebody else's.
                if week.isdigit() and int(week) < oldest_week:
                    await lent.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
                    dropped.append(name)
        for (number,) in await (await lent.execute(_WITH_OLD_UNITS, (now - retention_seconds,))).fetchall():
            await _delete_units(lent, number, units_at_once)
    return dropped


async def keep_retained(pool: Pool, *, every_seconds: float = 3600.0) -> NoReturn:
    """Retain again and again; what cannot be done once is left to the next time."""
    while True:
        try:
            for name in await retain(pool, time.time()):
                _log.info("dropped %s: all its outcomes are older than the retention", name)
        except (StoreUnavailableError, psycopg.Error) as error:
            _log.warning("old outcomes and units stay until the next try: %s", error)
        await asyncio.sleep(every_seconds)


async def _delete_units(lent: Connection, number: int, at_once: int) -> None:
    """Delete the units of an experiment, from one to the next: what is deleted already is not passed over again."""
    after = ""
    while True:
        row = await (await lent.execute(_LAST_OF_PART, (number, after, at_once))).fetchone()
        if row is None or row[0] is None:
            return
        await lent.execute(_DELETE_PART, (number, after, row[0]))
        after = row[0]


async def _lock(lent: Connection) -> None:
    """Begin to change partitions. Whoever waits for the outcomes stops all behind it, so nobody waits for long."""
    await lent.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(_LOCK_MILLISECONDS)))
    await lent.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


async def _create(lent: Connection, week: int) -> None:
    name = f"{_PREFIX}{week}"
    exists = await (await lent.execute("SELECT to_regclass(%s) IS NOT NULL", (name,))).fetchone()
    if exists and exists[0]:
        return
    start, end = (datetime.fromtimestamp((week + step) * WEEK_SECONDS, tz=UTC).isoformat() for step in (0, 1))
    statement = sql.SQL("CREATE TABLE {} PARTITION OF outcomes FOR VALUES FROM ({}) TO ({})")
    await lent.execute(statement.format(sql.Identifier(name), sql.Literal(start), sql.Literal(end)))
