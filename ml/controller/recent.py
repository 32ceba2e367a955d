"""Reads that many experiments share within one tick."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")
FRESH_SECONDS: Final = 1.0


class Recent(Generic[T]):
    """The answer of a question, asked again only when it is older than a moment or was forgotten.

    Whoever asks while the question is under way waits for that answer. A failure is not kept.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[T]],
        *,
        seconds: float = FRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._clock = clock
        self._lock = asyncio.Lock()
        self._answer: tuple[float, T] | None = None
        self._generation = 0

    async def get(self) -> T:
        """Return an answer to a question that was asked at most that long ago."""
        async with self._lock:
            if self._answer is not None and self._clock() - self._answer[0] < self._seconds:
                return self._answer[1]
            generation, asked_at = self._generation, self._clock()
            answer = await self._ask()
            if generation == self._generation:  # else something was written while the question was under way
                self._answer = (asked_at, answer)
            return answer

    def forget(self) -> None:
        """Ask anew next time: something was written."""
        self._answer = None
        self._generation += 1
