"""People who ask a part of the platform the same again and again, through the gateway."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import aiohttp

_MOST_VISITORS: Final = 12
_ENDS_BY_ITSELF_SECONDS: Final = 1_800.0
_REQUEST_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Question:
    """One request."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str | None = None


@dataclass
class Visit:
    """One request and its answer."""

    began: float
    seconds: float
    status: int
    """0 if there was none."""
    error: str = ""


@dataclass
class Visitors:
    """Those who ask, until the block is left or the time is over; how many may change meanwhile."""

    question: Question
    visits: list[Visit] = field(default_factory=list[Visit])
    _count: int = 0
    _rest_seconds: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="visitors", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2 * _REQUEST_SECONDS)

    def are(self, count: int, *, rest_seconds: float = 0.0) -> float:
        """Let so many ask from now on, each with a rest after an answer; return the time."""
        assert count <= _MOST_VISITORS
        self._count, self._rest_seconds = count, rest_seconds
        return time.monotonic()

    @property
    def failed(self) -> list[Visit]:
        """Those that did not get what they wanted."""
        return [visit for visit in self.visits if visit.status != 200]

    async def _run(self) -> None:
        ends = time.monotonic() + _ENDS_BY_ITSELF_SECONDS
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS)) as session:

            async def visit(number: int) -> None:
                while not self._stop.is_set() and time.monotonic() < ends:
                    if number < self._count:
                        self.visits.append(await self._ask(session))
                        await asyncio.sleep(self._rest_seconds)
                    else:
                        await asyncio.sleep(0.1)

            await asyncio.gather(*(visit(number) for number in range(_MOST_VISITORS)))

    async def _ask(self, session: aiohttp.ClientSession) -> Visit:
        asked = self.question
        began = time.monotonic()
        try:
            async with session.request(asked.method, asked.url, data=asked.body, headers=asked.headers) as response:
                text = await response.text()
                error = "" if response.status == 200 else text[:200]
                return Visit(began, time.monotonic() - began, response.status, error)
        except (aiohttp.ClientError, TimeoutError) as problem:
            return Visit(began, time.monotonic() - began, 0, repr(problem))
