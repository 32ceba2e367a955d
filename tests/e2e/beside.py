"""Work that goes on beside a test."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, Self


class Beside(ABC):
    """Works from the beginning of a block until its end, or until its time is over."""

    ends_by_itself_seconds: ClassVar[float]
    patience_seconds: ClassVar[float]
    """How long the end of a block waits for the work in hand."""

    @abstractmethod
    def work(self) -> None:
        """Do the work until `is_over`; runs in a thread of its own."""

    @property
    def is_over(self) -> bool:
        """Whether to stop."""
        return self._left.is_set() or time.monotonic() > self._ends

    def __enter__(self) -> Self:
        self._left = threading.Event()
        self._ends = time.monotonic() + self.ends_by_itself_seconds
        self._thread = threading.Thread(target=self.work, name=type(self).__name__, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join(timeout=self.patience_seconds)
