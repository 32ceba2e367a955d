"""People who ask a part of the platform the same again and again, through the gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

import aiohttp

from tests.e2e.beside import Beside

_MOST_VISITORS: Final = 12
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
class Visitors(Beside):
    """Those who ask, until the block is left or the time is over; how many may change meanwhile."""

    ends_by_itself_seconds: ClassVar[float] = 1_800.0
    patience_seconds: ClassVar[float] = 2 * _REQUEST_SECONDS
    question: Question
    visits: list[Visit] = field(default_factory=list[Visit])
    _count: int = 0
    _rest_seconds: float = 0.0

    def work(self) -> None:
        """Ask and ask again."""
        asyncio.run(self._ask_on())

    def are(self, count: int, *, rest_seconds: float = 0.0) -> float:
        """Let so many ask from now on, each with a rest after an answer; return the time."""
        assert count <= _MOST_VISITORS
        self._count, self._rest_seconds = count, rest_seconds
        return time.monotonic()

    @property
    def failed(self) -> list[Visit]:
        """Those that did not get what they wanted."""
        return [visit for visit in self.visits if visit.status != 200]

    async def _ask_on(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS)) as session:

            async def visit(number: int) -> None:
                while not self.is_over:
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
