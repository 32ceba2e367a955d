"""What Kubeflow's local runner prints, cut down to what tells a person how far a run is."""

from __future__ import annotations

import collections
import io
import re
from collections.abc import Callable
from typing import Final

_TASK: Final = re.compile(r"Executing task .*?'([a-z0-9-]+)'")
_TAIL_LINES: Final = 60


class RunnerOutput(io.TextIOBase):
    """Stands in for standard output: passes on the current step and the steps' own lines, keeps the rest for errors."""

    def __init__(self, model: str, progress: Callable[[str], None]) -> None:
        super().__init__()
        self._model = model
        self._progress = progress
        self._partial = ""
        self._tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)

    def write(self, text: str, /) -> int:
        """Take a piece of output."""
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            self._take(line.strip())
        return len(text)

    def tail(self) -> str:
        """Return the last lines, for a person who must find out why a step failed."""
        return "\n".join([*self._tail, self._partial]).strip()

    def _take(self, line: str) -> None:
        if not line:
            return
        self._tail.append(line)
        task = _TASK.search(line)
        if task is not None:
            self._progress(f"{self._model}: step {task.group(1)}")
        elif line.startswith(f"{self._model}: "):
            self._progress(line)
