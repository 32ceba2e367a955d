"""Reading the streams of experiments into their states, without letting one of them keep the others from being read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from ml.controller.fold import fold
from ml.controller.observer import Trouble, attempt
from ml.controller.queue import Known
from ml.events.ports import EventStore
from ml.events.types import experiment_stream

LOG: Final = logging.getLogger(__name__)
_AT_ONCE: Final = 16


async def refresh(events: EventStore, known: Known) -> None:
    """Read what is new in an experiment's stream.

    Raises:
        StoreUnavailableError: no answer; what was known before still stands.
    """
    known_position = known.position
    stored = await events.read(experiment_stream(known.uid), known_position)
    known.state = fold((item.event for item in stored if item.position > known_position), known.state)
    known.position = stored[-1].position if stored else known_position
    known.is_read = True


async def refresh_all(events: EventStore, experiments: Iterable[Known]) -> None:
    """Read what is new in many streams; of one that cannot be read it is remembered why."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def read(known: Known) -> None:
        async with gate:
            known.unreadable = ""
            try:
                await attempt("events", refresh(events, known), Trouble(known.uid))
            except Exception as error:
                LOG.exception("%s: the stream cannot be read", known.uid)
                known.unreadable = str(error) or type(error).__name__

    await asyncio.gather(*(read(known) for known in experiments))
