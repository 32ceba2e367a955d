"""The processes of this user that run on this machine itself, with their command lines.

Anybody may give a process any command line, and in a user namespace of his own also the looks of root. So whoever acts
upon a process for what its command line says looks among these only.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


def command_lines(among: Collection[int] | None = None) -> dict[int, tuple[str, ...]]:
    """Return process id -> words of the command line.

    Args:
        among: process ids to look at; all if None.
    """
    pids = among if among is not None else [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    return {pid: _words(_PROC / str(pid)) for pid in pids if _is_own(_PROC / str(pid))}


def _is_own(process: Path) -> bool:
    """Return whether a process has our real user, seen from a user namespace that is ours."""
    try:
        status = (process / "status").read_text(errors="replace")
        same_namespace = (process / "ns" / "user").readlink() == (_PROC / "self" / "ns" / "user").readlink()
    except OSError:  # it ended meanwhile, or belongs to somebody of whom we may know nothing
        return False
    # The real one: a stranger who starts a program with the set-user-id bit has another effective one.
    real_users = [int(line.split()[1]) for line in status.splitlines() if line.startswith("Uid:")]
    return same_namespace and real_users == [os.geteuid()]


def _words(process: Path) -> tuple[str, ...]:
    try:
        return tuple((process / "cmdline").read_text(errors="replace").split("\0"))
    except OSError:  # it ended meanwhile
        return ()
