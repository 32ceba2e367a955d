"""Brings the database to the newest schema; safe to run again, and when several programs start at once."""

from __future__ import annotations

from typing import Final

from ml.events.migrations import STEPS
from ml.events.pool import Pool, connection

CHANNEL: Final = "ml_events"
"""NOTIFY channel on which the name of a stream is sent whenever something was appended to it."""
_LOCK: Final = 7310460


class SchemaTooNewError(Exception):
    """The database was migrated by a newer version of the platform."""


async def migrate(pool: Pool) -> int:
    """Apply the steps that are missing, all or none.

    Returns:
        How many steps were applied.

    Raises:
        SchemaTooNewError: the database has steps that this version does not know.
        StoreUnavailableError: no answer.
    """
    async with connection(pool) as lent, lent.transaction():
        await lent.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        await lent.execute("SET LOCAL client_min_messages = warning")
        # A step that rewrites a large table takes its time, and would never be done if it were cut off.
        await lent.execute("SET LOCAL statement_timeout = 0")
        await lent.execute("CREATE TABLE IF NOT EXISTS schema_steps (step integer PRIMARY KEY, applied_at timestamptz)")
        row = await (await lent.execute("SELECT coalesce(max(step), 0) FROM schema_steps")).fetchone()
        done = int(row[0]) if row else 0
        if done > len(STEPS):
            raise SchemaTooNewError(f"the schema has {done} steps: this version knows {len(STEPS)}")
        for number, step in enumerate(STEPS[done:], done + 1):
            await lent.execute(step)
            await lent.execute("INSERT INTO schema_steps VALUES (%s, now())", (number,))
    return len(STEPS) - done


async def schema_step(pool: Pool) -> int:
    """Return how many steps the database has (for readiness); 0 before the first migration."""
    async with connection(pool) as lent:
        exists = await (await lent.execute("SELECT to_regclass('schema_steps') IS NOT NULL")).fetchone()
        if not exists or not exists[0]:
            return 0
        row = await (await lent.execute("SELECT coalesce(max(step), 0) FROM schema_steps")).fetchone()
    return int(row[0]) if row else 0
