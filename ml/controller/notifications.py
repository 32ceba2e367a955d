"""Hears at once when somebody else appended to an experiment's stream: a command through the API."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import psycopg

from ml.controller.keeper import Backoffs
from ml.events.pool import Pool, connection
from ml.events.ports import EventStore, Stored, StoreUnavailableError
from ml.events.schema import CHANNEL
from ml.events.types import AnyEvent, experiment_stream

LOG: Final = logging.getLogger(__name__)
_PREFIX: Final = experiment_stream("")


class OwnAppends:
    """An event store that remembers what this process appends, to tell it from what others do."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._expected: Counter[str] = Counter()

    async def append(self, stream: str, expected: int, events: Sequence[AnyEvent]) -> int:
        """Append; see `EventStore`."""
        self._expected[stream] += 1  # before: the notification may come before the answer does
        try:
            return await self._store.append(stream, expected, events)
        except BaseException:
            self.is_own(stream)
            raise

    async def read(self, stream: str, after: int = 0) -> Sequence[Stored]:
        """Read; see `EventStore`."""
        return await self._store.read(stream, after)

    def is_own(self, stream: str) -> bool:
        """Take one notification; return whether an append of this process accounts for it."""
        own = self._expected[stream] > 0
        if own:
            self._expected[stream] -= 1
        if not self._expected[stream]:
            del self._expected[stream]
        return own

    def forget(self) -> None:
        """No notification of what was appended so far will come: the connection was lost."""
        self._expected.clear()


async def hear(pool: Pool, appends: OwnAppends, wake: Callable[[str], None]) -> None:
    """Wake experiments by uid until cancelled. What is missed while the database is away, the interval finds."""
    for wait_seconds in Backoffs():
        appends.forget()
        try:
            async with connection(pool) as lent:
                await lent.execute(f"LISTEN {CHANNEL}")
                async for note in lent.notifies():
                    if note.payload.startswith(_PREFIX) and not appends.is_own(note.payload):
                        wake(note.payload.removeprefix(_PREFIX))
        except (StoreUnavailableError, psycopg.Error) as error:
            LOG.warning("commands are heard only at each interval, trying again in %g s: %s", wait_seconds, error)
        await asyncio.sleep(wait_seconds)
