"""Append-only streams on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import psycopg

from ml.events.pool import Pool, connection
from ml.events.ports import Stored, VersionConflictError
from ml.events.types import EXPERIMENT_PREFIX, FINAL_PHASES, AnyEvent
from ml.events.upcasting import from_text, to_text

CONFLICT_STATE: Final = "ML001"
"""SQLSTATE by which the database says that a stream has another length."""


class PostgresEventStore:
    """The event store; see `ml.events.ports.EventStore` and, for how appending works, `ml.events.migrations`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def append(self, stream: str, expected: int, events: Sequence[AnyEvent]) -> int:
        """Append all events or none, in one statement, if the stream's last position is `expected`."""
        types = [event.type for event in events]
        texts = [to_text(event) for event in events]
        async with connection(self._pool) as lent:
            try:
                cursor = await lent.execute("SELECT append_events(%s, %s, %s, %s)", (stream, expected, types, texts))
            except psycopg.DatabaseError as error:
                if error.sqlstate == CONFLICT_STATE:
                    raise VersionConflictError(str(error.diag.message_primary)) from error
                raise
            row = await cursor.fetchone()
        return int(row[0]) if row else expected

    async def read(self, stream: str, after: int = 0) -> Sequence[Stored]:
        """Return the events of a stream after a position, in order."""
        query = "SELECT version, data::text FROM events WHERE stream = %s AND version > %s ORDER BY version"
        async with connection(self._pool) as lent:
            rows = await (await lent.execute(query, (stream, after))).fetchall()
        return tuple(Stored(stream=stream, position=version, event=from_text(text)) for version, text in rows)

    async def unfinished(self) -> Sequence[str]:
        """Return the ids of experiments that were admitted and are in no final phase, from the events themselves."""
        # The phase is not read with the database's functions, which cannot get past every text that an event may hold.
        query = """
            SELECT DISTINCT ON (stream) stream, CASE type WHEN 'PhaseEntered' THEN data::text END FROM events
            WHERE type IN ('ExperimentCreated', 'PhaseEntered') ORDER BY stream, version DESC"""
        async with connection(self._pool) as lent:
            rows = await (await lent.execute(query)).fetchall()
        return sorted(
            str(stream).removeprefix(EXPERIMENT_PREFIX)
            for stream, text in rows
            if text is None or json.loads(text)["phase"] not in FINAL_PHASES
        )

    async def log(self, after: int = 0, limit: int = 1000) -> Sequence[tuple[int, Stored]]:
        """Return events of all streams in the order in which they were appended, each with its place in that order.

        Places grow but need not be consecutive. Nothing ever appears before a place that was already read.
        """
        query = (
            "SELECT position, stream, version, data::text FROM events WHERE position > %s ORDER BY position LIMIT %s"
        )
        async with connection(self._pool) as lent:
            rows = await (await lent.execute(query, (after, limit))).fetchall()
        return tuple(
            (place, Stored(stream=s, position=version, event=from_text(text))) for place, s, version, text in rows
        )
