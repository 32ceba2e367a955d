"""Does several things at once, and is over only when all of them are."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


async def together(*work: Coroutine[Any, Any, _T]) -> list[_T]:
    """Return the results in the order of the arguments.

    Where one fails, or the caller is told to stop, the others are stopped and have put their affairs in order before
    this raises. `asyncio.gather` would leave that to the end of the event loop, which has no patience: tunnels and
    processes of commands then stay open.

    Raises:
        Exception: the first that one of them raised.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(item) for item in work]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]
