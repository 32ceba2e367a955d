"""Outcomes that arrive one by one are stored many at once: while one batch is written, the next one gathers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

from ml.api.ports import Outcomes
from ml.events.counting import IngestResult, Outcome
from ml.events.ports import OutcomeSums, StoreUnavailableError

_LARGEST_BATCH: Final = 1000
_log = logging.getLogger(__name__)
_Waiting = tuple[Sequence[Outcome], "asyncio.Future[Sequence[IngestResult]]"]


class GatheredOutcomes:
    """Takes requests of many clients together; each gets the results of its own."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    async def ingest(self, outcomes: Sequence[Outcome]) -> Sequence[IngestResult]:
        """Store outcomes and say what became of each, in the order given."""
        done: asyncio.Future[Sequence[IngestResult]] = asyncio.get_running_loop().create_future()
        self._waiting.append((outcomes, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return await done

    async def sums(self, experiments: Sequence[str]) -> Mapping[str, OutcomeSums]:
        """Return the sums of several experiments."""
        return await self._outcomes.sums(experiments)

    async def _write(self) -> None:
        while self._waiting:
            taken: list[_Waiting] = []
            size = 0
            while self._waiting and (not taken or size + len(self._waiting[0][0]) <= _LARGEST_BATCH):
                taken.append(self._waiting.pop(0))
                size += len(taken[-1][0])
            try:
                await self._store(taken)
            except BaseException:
                for _, done in taken:
                    if not done.done():
                        done.set_exception(ConnectionAbortedError())
                raise

    async def _store(self, taken: Sequence[_Waiting]) -> None:
        """Store requests together; if that fails for an unknown reason, each half for itself.

        So those whose outcomes are the reason end up alone with the error. One of N is found with 2 log2(N) batches.
        """
        try:
            results = await self._outcomes.ingest([item for batch, _ in taken for item in batch])
        except Exception as error:  # noqa: BLE001 each request gets its own
            if len(taken) > 1 and not isinstance(error, StoreUnavailableError):
                _log.warning("outcomes of %d requests could not be stored together", len(taken), exc_info=error)
                middle = len(taken) // 2
                await self._store(taken[:middle])
                await self._store(taken[middle:])
                return
            for _, done in taken:
                if not done.done():
                    done.set_exception(error)
            return
        begin = 0
        for batch, done in taken:
            if not done.done():
                done.set_result(results[begin : begin + len(batch)])
            begin += len(batch)
