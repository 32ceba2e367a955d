"""Finds a node's processes on the host by what they are: a recorded number may be another process's by now.

Root enters the namespaces of the first one and runs what lies there, and kills the others. Their command lines tell the
nodes' processes apart, but anybody can give his own the same: only what is in the node's control groups counts.
"""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from local.node import cgroups
from local.node.config import cgroup_of
from local.own_processes import command_lines

SUPERVISOR_MODULE: Final = "local.node.supervisor"


def supervisor_command(python: str, state_dir: Path, descriptors: tuple[int, int]) -> tuple[str, ...]:
    """Return the command line of a node's first process; `find` recognises it by module and state folder."""
    return (python, "-m", SUPERVISOR_MODULE, str(state_dir), *(str(number) for number in descriptors))


def find(state_dir: Path) -> list[int]:
    """Return the process ids of a node's `unshare` and supervisor, if they run."""
    mark = ("-m", SUPERVISOR_MODULE, str(state_dir))
    members = cgroups.members(cgroup_of("*", state_dir))
    return sorted(pid for pid, words in command_lines(members).items() if _contains(words, mark))


def find_first(state_dir: Path) -> int | None:
    """Return the process id, on the host, of the node's process 1, or None if it does not run."""
    own = Path("/proc/self/ns/pid").readlink()
    for pid in find(state_dir):
        try:
            if Path(f"/proc/{pid}/ns/pid").readlink() != own:
                return pid
        except OSError:  # it ended meanwhile
            continue
    return None


def started_at(pid: int) -> datetime:
    """Return when a process was started, to the second (rounded down, like the times of Kubernetes).

    Raises:
        OSError: there is no such process.
    """
    # The command, in brackets, may contain spaces; what follows it does not. Start time is field 22 of all.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    since_boot_seconds = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return datetime.fromtimestamp(int(boot + since_boot_seconds), UTC)


def end(state_dir: Path, patience_seconds: float) -> None:
    """Ask a node to end; kill it when it has not ended after `patience_seconds`. Returns when nothing of it runs.

    Raises:
        TimeoutError: even killed processes do not go away (for example blocked in a broken disk).
    """
    first = find_first(state_dir)
    if first is not None:
        _signal(first, signal.SIGTERM)
        _wait_until_gone(state_dir, patience_seconds)
    if not _wait_until_gone(state_dir, patience_seconds, killing=True):
        raise TimeoutError(f"processes {find(state_dir)} of the node in {state_dir} do not end")


def _wait_until_gone(state_dir: Path, patience_seconds: float, *, killing: bool = False) -> bool:
    deadline = time.monotonic() + patience_seconds
    while found := find(state_dir):
        if time.monotonic() > deadline:
            return False
        # Every time: one that was starting had no command line yet when the others were found.
        for pid in found if killing else ():
            _signal(pid, signal.SIGKILL)
        time.sleep(0.05)
    return True


def _contains(arguments: tuple[str, ...], mark: tuple[str, ...]) -> bool:
    return any(arguments[start : start + len(mark)] == mark for start in range(len(arguments)))


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
