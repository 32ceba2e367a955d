"""What goes on beside the requests for as long as the process lives. None of it may end without a word."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

_log = logging.getLogger(__name__)


class EndedError(Exception):
    """Something that has to run for as long as the process does has ended, so the process has to begin anew."""


@asynccontextmanager
async def beside(ended: Callable[[], None], works: Mapping[str, Coroutine[Any, Any, object]]) -> AsyncGenerator[None]:
    """Run works, each with a name for the log, until the block is left; call `ended` if one ends before."""

    def tell(task: asyncio.Task[object]) -> None:
        if not task.cancelled():
            _log.critical("%s ended before its time", task.get_name(), exc_info=task.exception())
            ended()

    tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
    for task in tasks:
        task.add_done_callback(tell)
    try:
        yield
    finally:
        running = [task for task in tasks if not task.done()]
        for task in running:
            task.remove_done_callback(tell)
            task.cancel()
        for left in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(left, Exception):
                _log.error("did not stop as it should", exc_info=left)
