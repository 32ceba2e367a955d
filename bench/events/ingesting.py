"""How fast outcomes are taken in and counted, and what the decision's question costs once very many are stored."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from typing import Final

from psycopg import sql

from bench.processor import processor_seconds
from ml.events.counting import Outcome
from ml.events.outcomes import PostgresOutcomeStore
from ml.events.partitions import Partitions
from ml.events.pool import Pool, connection

_MODEL: Final = "content_quality_model"
_METRICS: Final = ("conversion", "correct", "rating")
_BATCH: Final = 500
_SECONDS: Final = 10.0
_ASKED: Final = 50
_STAGES: Final = (1_000_000, 3_000_000, 10_000_000)
_STEP: Final = 250_000
_OLDEST_SECONDS: Final = 2 * 86_400
_SPEC: Final = {
    "model": _MODEL,
    "primary": {"name": "conversion", "aggregation": "any", "minimumEffect": 0.01, "baseline": 0.05},
    "secondary": [{"name": "rating"}],
}
_FILL: Final = sql.SQL("""
INSERT INTO outcomes (model, id, at, metric, value, user_id, slot)
SELECT 'content_quality_model', 'filled-' || n, now() - random() * {} * interval '1 second', 'conversion', n % 2,
    'user-' || n / 3, CASE WHEN n % 2 = 0 THEN 'stable' ELSE 'candidate-a' END
FROM generate_series({}, {}) AS n""")
_FILL_UNITS: Final = sql.SQL("""
INSERT INTO counted_units
SELECT 1, 'filled-' || n, 0, 'stable', 0, NULL, ARRAY[1, 1, 1, 1, 3, 1] FROM generate_series({}, {}) AS n""")


async def measure(pool: Pool, outcomes: int, fill_seconds: float, database: int) -> list[str]:
    """Ingest for some seconds into an empty store and into ever fuller ones; ask each for the sums.

    Args:
        pool: of an empty database.
        outcomes: to be stored in the end.
        fill_seconds: after so long no more are stored, however many they are.
        database: process id of the PostgreSQL server.
    """
    store = PostgresOutcomeStore(pool)
    now = time.time()
    await Partitions(pool).ensure([now - _OLDEST_SECONDS, now])
    await store.open_experiment("x", _MODEL, _SPEC, f"{_MODEL}-00", now - 3600)
    for index in range(61):
        weights = {"stable": 1000 - 8 * index, "candidate-a": 8 * index}
        await store.start_epoch("x", index, weights, now - 3600 + 30 * index)
    rows = await _measured(store, 0, database)
    stored, filling = 0, 0.0
    for stage in sorted({min(outcomes, stage) for stage in _STAGES} | {outcomes}):
        started = time.perf_counter()
        stored = await _fill(pool, stored, stage, started + fill_seconds - filling)
        filling += time.perf_counter() - started
        rows += await _measured(store, stored, database)
        if stored < stage:
            break
    return [*rows, f"| {stored:,} outcomes stored by SQL in | {filling:.0f} s | - |"]


async def _measured(store: PostgresOutcomeStore, stored: int, database: int) -> list[str]:
    pids = (os.getpid(), database)
    used, started = processor_seconds(pids), time.perf_counter()
    number = await _ingest(store, f"after-{stored}")
    per_second = number / (time.perf_counter() - started)
    each_ms = 1e3 * (processor_seconds(pids) - used) / number
    used = processor_seconds(pids)
    times = [await _ask(store) for _ in range(_ASKED)]
    asked_ms = 1e3 * (processor_seconds(pids) - used) / _ASKED
    middle, slowest = 1e3 * statistics.median(times), 1e3 * max(times)
    found = f"{stored:,} stored, load {os.getloadavg()[0]:.0f}"
    return [
        f"| ingested and counted, batches of {_BATCH}, {found} | {per_second:.0f}/s | >= 2,000/s |",
        f"| processor time of an outcome then | {each_ms:.3f} ms | <= 1 ms (2 cores, 2,000/s) |",
        f"| sums of 61 epochs, median / slowest of {_ASKED}, {found} | {middle:.1f} / {slowest:.1f} ms | - |",
        f"| processor time of sums then | {asked_ms:.1f} ms | - |",
    ]


async def _ingest(store: PostgresOutcomeStore, label: str) -> int:
    number, started = 0, time.perf_counter()

    async def send(sender: int) -> None:
        nonlocal number
        batch = 0
        while time.perf_counter() - started < _SECONDS:
            at = time.time()
            outcomes = [
                Outcome(
                    id=f"{label}-{sender}-{batch}-{k}",
                    model=_MODEL,
                    at=at,
                    user_id=f"{label}-{sender}-{(batch * _BATCH + k) // 4}",
                    metric=_METRICS[k % 3],
                    value=float(k % 2),
                )
                for k in range(_BATCH)
            ]
            await store.ingest(outcomes)
            number += _BATCH
            batch += 1

    await asyncio.gather(*(send(sender) for sender in range(2)))
    return number


async def _ask(store: PostgresOutcomeStore) -> float:
    started = time.perf_counter()
    await store.sums(["x"])
    return time.perf_counter() - started


async def _fill(pool: Pool, start: int, end: int, until: float) -> int:
    """Store the outcomes with these numbers; stop when it is too late.

    Returns:
        How many there are.
    """
    async with connection(pool) as lent:
        while start < end and time.perf_counter() < until:
            following = min(end, start + _STEP)
            await lent.execute(
                _FILL.format(sql.Literal(_OLDEST_SECONDS), sql.Literal(start), sql.Literal(following - 1))
            )
            await lent.execute(_FILL_UNITS.format(sql.Literal(start // 3), sql.Literal(following // 3 - 1)))
            start = following
    return start
