"""Waiting for streams to grow."""

from __future__ import annotations

import asyncio
from typing import cast

from ml.api.changes import StreamChanges
from ml.events.pool import Pool


def test_waiting_ends_when_it_is_cancelled_in_the_moment_the_stream_grows() -> None:
    async def cancelled(turns: int) -> bool:
        changes = StreamChanges(cast("Pool", None))
        waiting = asyncio.create_task(changes.wait("experiment-a", 60.0))
        await asyncio.sleep(0.001)
        for event in changes._waiters["experiment-a"]:  # pyright: ignore[reportPrivateUsage] as a notification does
            event.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        still_waits = not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
        return waiting.cancelled() or not still_waits

    async def main() -> list[int]:
        return [turns for turns in range(5) if not await cancelled(turns)]

    assert asyncio.run(main()) == []
