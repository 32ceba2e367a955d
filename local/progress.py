"""One line of progress at a time: what is being done and for how long the whole has been running."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol, TextIO

_TICK_SECONDS = 10.0
"""How often a long step repeats its line where the output is not a terminal."""


class Progress(Protocol):
    """Takes one line that says what is being done now."""

    def __call__(self, message: str, /) -> None:
        """Show `message`."""
        ...


class ConsoleProgress:
    """Writes `[  12s] message` lines to a stream."""

    def __init__(self, stream: TextIO = sys.stderr, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._started = clock()
        self._lock = threading.Lock()

    def __call__(self, message: str, /) -> None:
        """Write one line with the seconds since this object was made."""
        with self._lock:
            self._stream.write(f"[{self._clock() - self._started:5.0f}s] {message}\n")
            self._stream.flush()


@contextmanager
def heartbeat(progress: Progress, message: str, *, every_seconds: float = _TICK_SECONDS) -> Generator[None]:
    """Show `message` at once and again every `every_seconds` while the body runs, with the time it has taken."""
    progress(message)
    started = time.monotonic()
    done = threading.Event()

    def beat() -> None:
        while not done.wait(every_seconds):
            progress(f"{message} ({time.monotonic() - started:.0f} s)")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
