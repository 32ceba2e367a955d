"""How long the engine takes over a platform that is up and needs no change, and what the whole occupies."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from local.lifecycle.platform import Platform

_ROUNDS = 3


def run(running: Platform) -> list[str]:
    """Return the lines of the report."""
    stack = running.stack
    return [
        f"preview without changes: {_median_seconds(lambda: stack.preview(expect_no_changes=True)):.1f} s",
        f"up without changes: {_median_seconds(stack.up):.1f} s",
        f"refresh without changes: {_median_seconds(lambda: stack.refresh(expect_no_changes=True)):.1f} s",
        f"resident memory of all processes of the platform: {_resident_gib(running):.2f} GiB (proportional set size)",
    ]


def _median_seconds(action: Callable[[], None]) -> float:
    times: list[float] = []
    for _ in range(_ROUNDS):
        started = time.monotonic()
        action()
        times.append(time.monotonic() - started)
    return statistics.median(times)


def _resident_gib(running: Platform) -> float:
    total_kib = 0
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _descends_from(process, running.node.pid):
            total_kib += _proportional_kib(process)
    return total_kib / 1024**2


def _descends_from(process: Path, ancestor: int) -> bool:
    pid = int(process.name)
    while pid > 1:
        if pid == ancestor:
            return True
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return False
        pid = int(fields[1])
    return False


def _proportional_kib(process: Path) -> int:
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0  # it ended while we looked
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
