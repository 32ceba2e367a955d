"""Processor time of processes: what work takes at least, however busy the machine is with other things."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path


def processor_seconds(pids: Collection[int]) -> float:
    """Return the processor time that processes and their children have used so far."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        pid, parent, *used = int(file.parent.name), int(fields[1]), *map(int, fields[11:15])
        if pid in pids:
            ticks += sum(used)  # with those of its children that have ended
        elif parent in pids:
            ticks += sum(used[:2])
    return ticks / os.sysconf("SC_CLK_TCK")
