"""Weekly partitions of the outcomes: made when needed, dropped when all in them is too old."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from psycopg import sql

from ml.events.pool import Connection, Pool, connection

WEEK_SECONDS: Final = 7 * 86_400
RETENTION_SECONDS: Final = 90 * 86_400.0
_LOCK: Final = 7310463
_PREFIX: Final = "outcomes_week_"


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


async def retain(pool: Pool, now: float, retention_seconds: float = RETENTION_SECONDS) -> list[str]:
    """Make the partitions of this and the next week and drop those whose outcomes are all older than the retention.

    With them go the units of experiments that ended that long ago; their sums stay.

    Returns:
        The names of the partitions that were dropped.
    """
    oldest_week = week_of(now - retention_seconds)
    dropped: list[str] = []
    async with connection(pool) as lent, lent.transaction():
        await _lock(lent)
        for week in (week_of(now), week_of(now) + 1):
            await _create(lent, week)
        query = "SELECT relid::text FROM pg_partition_tree('outcomes') WHERE isleaf AND parentrelid IS NOT NULL"
        for (name,) in await (await lent.execute(query)).fetchall():
            if int(str(name).removeprefix(_PREFIX)) < oldest_week:
                await lent.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
                dropped.append(name)
        await lent.execute(
            "DELETE FROM counted_units WHERE number IN (SELECT number FROM counted_experiments WHERE ended_at < %s)",
            (now - retention_seconds,),
        )
    return dropped


async def _lock(lent: Connection) -> None:
    await lent.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


async def _create(lent: Connection, week: int) -> None:
    name = f"{_PREFIX}{week}"
    exists = await (await lent.execute("SELECT to_regclass(%s) IS NOT NULL", (name,))).fetchone()
    if exists and exists[0]:
        return
    start, end = (datetime.fromtimestamp((week + step) * WEEK_SECONDS, tz=UTC).isoformat() for step in (0, 1))
    statement = sql.SQL("CREATE TABLE {} PARTITION OF outcomes FOR VALUES FROM ({}) TO ({})")
    await lent.execute(statement.format(sql.Identifier(name), sql.Literal(start), sql.Literal(end)))
