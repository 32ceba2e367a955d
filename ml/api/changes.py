"""Hears from PostgreSQL which streams grow, so that subscribers need not ask again and again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from typing import Final

from psycopg import sql

from ml.events.pool import Pool, connection
from ml.events.ports import StoreUnavailableError
from ml.events.schema import CHANNEL

_LISTEN_AGAIN_SECONDS: Final = 2.0
_log = logging.getLogger(__name__)


class StreamChanges:
    """One connection that listens for a whole process."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiters: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    async def wait(self, stream: str, timeout_seconds: float) -> bool:
        """Return when a stream has grown, or after a while; tell which."""
        event = asyncio.Event()
        self._waiters[stream].add(event)
        try:
            # Not `wait_for`, which before Python 3.12 may lose a cancellation, so that a subscription would live on.
            async with asyncio.timeout(timeout_seconds):
                await event.wait()
        except TimeoutError:
            return False
        else:
            return True
        finally:
            waiters = self._waiters[stream]
            waiters.discard(event)
            if not waiters:
                del self._waiters[stream]

    async def run(self) -> None:
        """Listen until cancelled; while the database is away, waiting ends by its time."""
        while True:
            with contextlib.suppress(StoreUnavailableError):
                await self._listen()
            await asyncio.sleep(_LISTEN_AGAIN_SECONDS)

    async def _listen(self) -> None:
        async with connection(self._pool) as lent:
            await lent.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
            async for note in lent.notifies():
                for event in self._waiters.get(note.payload, ()):
                    event.set()
