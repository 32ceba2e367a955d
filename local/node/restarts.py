"""When a process that ended is started again. Pure: the caller passes the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIRST_DELAY_SECONDS: Final = 0.5
LONGEST_DELAY_SECONDS: Final = 30.0
STABLE_SECONDS: Final = 60.0
"""A process that ran this long is healthy: its next end counts as the first again."""


@dataclass(frozen=True)
class Restarts:
    """The history of one process that matters for its next start."""

    delay_seconds: float = 0.0
    not_before: float = 0.0
    """Monotonic time before which it is not started."""
    started_at: float = 0.0
    ends: int = 0

    def started(self, now: float) -> Restarts:
        """Return the history after a start."""
        return Restarts(self.delay_seconds, self.not_before, now, self.ends)

    def ended(self, now: float) -> Restarts:
        """Return the history after an end: each quick end doubles the delay."""
        if self.delay_seconds == 0 or now - self.started_at >= STABLE_SECONDS:
            delay = FIRST_DELAY_SECONDS
        else:
            delay = min(self.delay_seconds * 2, LONGEST_DELAY_SECONDS)
        return Restarts(delay, now + delay, self.started_at, self.ends + 1)

    def may_start(self, now: float) -> bool:
        """Return whether the delay is over."""
        return now >= self.not_before
