"""What reads cost over HTTP with 10,000 experiments and a million events in a real PostgreSQL.

The API runs in a process of its own, as in its pod; the database has that server's default settings. One client asks
over one connection, on this machine: time in the client and in the database counts, no network does. The processor time
of API and database is shown, too: on a machine that is busy with other things it says more than the time on the clock.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from bench.api.asking import BAR_MS, Times, measure
from bench.api.filling import EXPERIMENTS, Filled, fill
from bench.api.process import serving
from bench.postgres import MAINTENANCE_SECONDS, postgres
from ml.events.pool import DatabaseSettings, open_pool


def run() -> list[str]:
    """Measure and return a Markdown table."""
    with postgres() as server:
        database = server.new_database()
        started = time.monotonic()
        filled = asyncio.run(_fill(database))
        seconds = time.monotonic() - started
        with serving(database) as served:
            times = measure(served, filled, server.pid)
            memory_mib = _resident_mib(served.pid)
    size = f"{EXPERIMENTS:,} experiments, {filled.events:,} events, {filled.decisions:,} decisions"
    return [
        f"{size}, filled in {seconds:.0f} s; load {_load()} at the end; API {memory_mib:.0f} MiB",
        "| read over HTTP | P50 ms | P95 ms | P99 ms | processor ms | largest answer | P95 <= 50 ms |",
        "|---|---:|---:|---:|---:|---:|---|",
        *(_row(item) for item in times),
    ]


async def _fill(database: DatabaseSettings) -> Filled:
    async with open_pool(database, statement_seconds=MAINTENANCE_SECONDS) as pool:
        return await fill(pool)


def _row(item: Times) -> str:
    p50, p95, p99 = (item.percentile(share) for share in (50, 95, 99))
    held = "yes" if p95 <= BAR_MS else "NO"
    size = f"{item.processor_milliseconds:.1f} | {item.largest_bytes / 1024:.0f} KiB"
    return f"| {item.what} | {p50:.1f} | {p95:.1f} | {p99:.1f} | {size} | {held} |"


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def _resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2
