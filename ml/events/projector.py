"""Keeps the read models up with the log, exactly once, and builds them anew from zero when asked.

Rows and the position up to which they are true change in one transaction, under a row lock that only one projector
holds. So several may run; a crash between two events costs nothing; and an event is never applied twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, NoReturn

import psycopg
from psycopg import sql

from ml.events.pool import Connection, Pool, connection
from ml.events.ports import Stored, StoreUnavailableError
from ml.events.projections import PROJECTIONS, Projection
from ml.events.schema import CHANNEL
from ml.events.storable import storable
from ml.events.upcasting import UnreadableEventError, from_text

_log = logging.getLogger(__name__)
_BATCH: Final = 500
_LOG_QUERY: Final = (
    "SELECT position, stream, version, data::text FROM events WHERE position > %s ORDER BY position LIMIT %s"
)


class Projector:
    """Applies the log to the read models."""

    def __init__(self, pool: Pool, *, poll_seconds: float = 1.0) -> None:
        self._pool = pool
        self._poll_seconds = poll_seconds

    async def run(self) -> NoReturn:
        """Follow the log for ever, woken by the database; a database that is away is waited for."""
        while True:
            try:
                await self._follow()
            except StoreUnavailableError as error:
                _log.warning("read models wait for the database: %s", error)
            except (UnreadableEventError, ValueError, psycopg.Error):
                # Nothing is skipped: the read models stop before this event until a version that can read it runs, or
                # until the database takes it.
                _log.exception("read models stand still at an event that cannot be applied")
            await asyncio.sleep(self._poll_seconds)

    async def _follow(self) -> NoReturn:
        async with connection(self._pool) as listening:
            await listening.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
            try:
                while True:
                    await self.catch_up()
                    async for _ in listening.notifies(timeout=self._poll_seconds, stop_after=1):
                        pass
            finally:
                if not listening.closed and not listening.broken:
                    await listening.execute("UNLISTEN *")

    async def catch_up(self) -> int:
        """Apply all that is in the log now.

        Returns:
            How many events were applied, counted per projection.
        """
        applied = 0
        for projection in PROJECTIONS.values():
            while done := await self._step(projection):
                applied += done
        return applied

    async def rebuild(self, name: str) -> int:
        """Build a projection from zero; readers see the old rows until all new ones are there.

        Returns:
            How many events were applied.

        Raises:
            ValueError: there is no such projection.
        """
        projection = PROJECTIONS.get(name)
        if projection is None:
            raise ValueError(f"projection={name!r}: allowed are {sorted(PROJECTIONS)}")
        applied = 0
        async with connection(self._pool) as lent, lent.transaction():
            await lent.execute("SELECT 1 FROM projections WHERE name = %s FOR UPDATE", (name,))
            for table in projection.tables:
                await lent.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            position = 0
            while entries := await _entries(lent, position):
                await _apply(lent, projection, [stored for _, stored in entries])
                position = entries[-1][0]
                applied += len(entries)
            await lent.execute("UPDATE projections SET position = %s WHERE name = %s", (position, name))
        return applied

    async def _step(self, projection: Projection) -> int:
        async with connection(self._pool) as lent, lent.transaction():
            query = "SELECT position FROM projections WHERE name = %s FOR UPDATE SKIP LOCKED"
            row = await (await lent.execute(query, (projection.name,))).fetchone()
            if row is None:
                return 0  # another projector is at it
            entries = await _entries(lent, int(row[0]))
            if not entries:
                return 0
            await _apply(lent, projection, [stored for _, stored in entries])
            query = "UPDATE projections SET position = %s WHERE name = %s"
            await lent.execute(query, (entries[-1][0], projection.name))
            return len(entries)


async def _entries(lent: Connection, after: int) -> Sequence[tuple[int, Stored]]:
    rows = await (await lent.execute(_LOG_QUERY, (after, _BATCH))).fetchall()
    return [
        (place, Stored(stream=s, position=version, event=from_text(storable(text)))) for place, s, version, text in rows
    ]


async def _apply(lent: Connection, projection: Projection, batch: Sequence[Stored]) -> None:
    async with lent.pipeline():
        for stored in batch:
            for query, values in projection.statements(stored):
                await lent.execute(query, values)
