"""How fast events are appended: ours, and the same events through the recorder of the library `eventsourcing`."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from ml.events.pool import Pool
from ml.events.store import PostgresEventStore
from ml.events.types import DecisionMade
from ml.events.upcasting import to_text
from tests.support.postgres import PostgresServer

_EACH: Final = 300
_WRITERS: Final = 4
_EVENT: Final = DecisionMade(
    at=1.0,
    inputs={"epochs": {"0": {"units": {"stable": 123456, "candidate-a": 123456}}}},
    decision={"evidence": [{"metric": f"m{n}", "estimate": 0.1 * n, "interval": [0.0, 1 / 3]} for n in range(20)]},
    input_hash="0" * 64,
    previous_hash="0" * 64,
    hash="0" * 64,
)


async def measure(pool: Pool) -> list[str]:
    """Append from one writer and from several, each to a stream of its own."""
    store = PostgresEventStore(pool)

    async def write(stream: str) -> None:
        for number in range(_EACH):
            await store.append(stream, number, [_EVENT])

    started = time.perf_counter()
    await write("alone")
    alone = _EACH / (time.perf_counter() - started)
    started = time.perf_counter()
    await asyncio.gather(*(write(f"s{number}") for number in range(_WRITERS)))
    together = _WRITERS * _EACH / (time.perf_counter() - started)
    return [
        f"| decisions appended one by one, 1 writer | {alone:.0f}/s | 17/s (500 experiments, every 30 s) |",
        f"| the same, {_WRITERS} writers | {together:.0f}/s | - |",
    ]


def library(server: PostgresServer) -> list[str]:
    """Append the same with the library's recorder, in threads as an asynchronous program has to."""
    settings = server.new_database()
    datastore = PostgresDatastore(
        settings.database,
        settings.host,
        settings.port,
        settings.user,
        settings.password,
        pool_size=_WRITERS,
        originator_id_type="text",
    )
    recorder = PostgresApplicationRecorder(datastore)
    recorder.create_table()
    state = to_text(_EVENT).encode()

    def write(stream: str) -> None:
        for number in range(1, _EACH + 1):
            recorder.insert_events([StoredEvent(stream, number, "DecisionMade", state)])

    try:
        started = time.perf_counter()
        write("alone")
        alone = _EACH / (time.perf_counter() - started)
        with ThreadPoolExecutor(_WRITERS) as threads:
            started = time.perf_counter()
            list(threads.map(write, [f"s{number}" for number in range(_WRITERS)]))
            together = _WRITERS * _EACH / (time.perf_counter() - started)
    finally:
        datastore.close()
    return [
        f"| `eventsourcing` 9.5 recorder, 1 writer | {alone:.0f}/s | - |",
        f"| the same, {_WRITERS} threads | {together:.0f}/s | - |",
    ]
