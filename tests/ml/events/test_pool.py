"""Lending connections."""

from __future__ import annotations

import asyncio

from ml.events.pool import DatabaseSettings, Pool, connection, open_pool


def test_task_ends_when_it_is_cancelled_while_a_connection_is_handed_over(database: DatabaseSettings) -> None:
    async def main() -> list[int]:
        async with open_pool(database, size=1) as pool:
            # The handing over takes some turns of the event loop; in some the pool itself loses the cancellation.
            return [turn for turn in range(20) if not await _ends(pool, turn)]

    assert asyncio.run(main()) == []


async def _ends(pool: Pool, turns: int) -> bool:
    """Cancel a task some turns after the connection that it waits for was given back; return whether that ended it."""

    async def borrow() -> None:
        async with connection(pool):
            await asyncio.sleep(0.02)

    async with connection(pool):
        waiting = asyncio.create_task(borrow())
        await asyncio.sleep(0.01)
    for _ in range(turns):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    return waiting.cancelled()
