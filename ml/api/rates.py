"""How much a client may ask for, and hold at once: per client and kind of request, in this process."""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, Literal

from ml.api.problems import ProblemError
from ml.api.settings import Rates

Kind = Literal["reads", "writes", "outcomes"]
_BURST_SECONDS: Final = 2.0
"""A bucket holds what so many seconds bring in."""
_MOST_BUCKETS: Final = 10_000


class RateLimiter:
    """The buckets of all clients that were seen lately."""

    def __init__(self, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._per_second: dict[Kind, float] = {
            "reads": float(rates.reads_per_second),
            "writes": float(rates.writes_per_second),
            "outcomes": float(rates.outcomes_per_second),
        }
        self._buckets: OrderedDict[tuple[str, Kind], tuple[float, float]] = OrderedDict()
        """Per client and kind: what was left, and when."""

    def spend(self, client: str, kind: Kind, amount: float = 1.0) -> None:
        """Take from a client's bucket; what is more than a full bucket holds needs a full one, and leaves a debt.

        Raises:
            ProblemError: 429, with the time after which it is worth trying again.
        """
        now, rate = self._clock(), self._per_second[kind]
        full = rate * _BURST_SECONDS
        left, seen_at = self._buckets.get((client, kind), (full, now))
        left = min(full, left + (now - seen_at) * rate)
        needed = min(amount, full)
        if left < needed:
            wait_seconds = max(1, math.ceil((needed - left) / rate))
            raise ProblemError(
                429,
                "too-many-requests",
                f"allowed are {rate:g} {kind} per second; try again in {wait_seconds} s",
                headers={"Retry-After": str(wait_seconds)},
            )
        self._buckets[client, kind] = (left - amount, now)
        self._buckets.move_to_end((client, kind))
        while len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)


class TooManyHeldError(Exception):
    """A client holds as many of something as it may; the message goes to the client."""


class Holdings:
    """How many of something long-lived each client has now."""

    def __init__(self, what: str, most: int) -> None:
        self._what = what
        self._most = most
        self._held: Counter[str] = Counter()

    def count(self, client: str) -> int:
        """Return how many a client has."""
        return self._held[client]

    @contextmanager
    def held(self, client: str) -> Generator[None]:
        """Count one more of a client's for as long as the body runs.

        Raises:
            TooManyHeldError: it would be one too many.
        """
        if self._held[client] >= self._most:
            raise TooManyHeldError(f"allowed are {self._most} {self._what} per client at once; end one first")
        self._held[client] += 1
        try:
            yield
        finally:
            self._held[client] -= 1
            if not self._held[client]:
                del self._held[client]
