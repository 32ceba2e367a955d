"""The event store on a PostgreSQL of its own, started for the measurement with that server's default settings.

EVENTS_BENCH_OUTCOMES says how many outcomes are stored before the decision's question is measured (10 million unless
set); they need about 3 GB of disk for as long as it runs.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.events import appending, ingesting, reading
from ml.events.pool import Pool, open_pool
from ml.events.schema import migrate
from tests.support.postgres import PostgresServer

_OUTCOMES: Final = int(os.environ.get("EVENTS_BENCH_OUTCOMES", "10000000"))
_MAINTENANCE_SECONDS: Final = 1800.0


def run() -> list[str]:
    """Measure and return a Markdown table."""
    with _server() as server:
        rows = [*appending.library(server)]
        rows += _on_new_database(server, appending.measure)
        rows += _on_new_database(server, lambda pool: ingesting.measure(pool, _OUTCOMES))
        rows += _on_new_database(server, reading.measure)
    return ["| what | figure | bar |", "|---|---:|---:|", *rows]


def _on_new_database(server: PostgresServer, measure: Callable[[Pool], Awaitable[list[str]]]) -> list[str]:
    async def main() -> list[str]:
        async with open_pool(server.new_database(), statement_seconds=_MAINTENANCE_SECONDS) as pool:
            await migrate(pool)
            return await measure(pool)

    return asyncio.run(main())


@contextmanager
def _server() -> Generator[PostgresServer]:
    with tempfile.TemporaryDirectory(prefix="events-bench-") as folder:
        server = PostgresServer(Path(folder))
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop()
