"""The event store on a PostgreSQL of its own, started for the measurement with that server's default settings.

EVENTS_BENCH_OUTCOMES says how many outcomes are stored in the end (10 million unless set); they need about 4 GB of disk
for as long as it runs. EVENTS_BENCH_SECONDS says how long storing them may take altogether (an hour unless set): what
is not stored by then is not waited for, and the table says how many were.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Final

from bench.events import appending, ingesting
from bench.postgres import MAINTENANCE_SECONDS, postgres
from ml.events.pool import Pool, open_pool
from ml.events.schema import migrate
from tests.support.postgres import PostgresServer

_OUTCOMES: Final = int(os.environ.get("EVENTS_BENCH_OUTCOMES", "10000000"))
_SECONDS: Final = float(os.environ.get("EVENTS_BENCH_SECONDS", "3600"))


def run() -> list[str]:
    """Measure and return a Markdown table."""
    with postgres() as server:
        rows = [*appending.library(server)]
        rows += _on_new_database(server, appending.measure)
        rows += _on_new_database(server, lambda pool: ingesting.measure(pool, _OUTCOMES, _SECONDS, server.pid))
    return ["| what | figure | bar |", "|---|---:|---:|", *rows]


def _on_new_database(server: PostgresServer, measure: Callable[[Pool], Awaitable[list[str]]]) -> list[str]:
    async def main() -> list[str]:
        async with open_pool(server.new_database(), statement_seconds=MAINTENANCE_SECONDS) as pool:
            await migrate(pool)
            return await measure(pool)

    return asyncio.run(main())
