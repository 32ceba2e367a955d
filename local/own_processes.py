"""The processes of this user that run on this machine itself, with their command lines.

Anybody may give a process any command line, and in a user namespace of his own also the looks of root. So whoever acts
upon a process for what its command line says looks among these only.
"""

from __future__ import annotations

import os
from pathlib import Path


def command_lines(proc: Path = Path("/proc")) -> dict[int, tuple[str, ...]]:
    """Return process id -> words of the command line."""
    return {
        int(entry.name): _words(entry)
        for entry in proc.iterdir()
        if entry.name.isdigit() and _is_own(entry, proc / "self")
    }


def _is_own(process: Path, caller: Path) -> bool:
    """Return whether a process has our real user, seen from a user namespace that is ours."""
    try:
        status = (process / "status").read_text(errors="replace")
        same_namespace = (process / "ns" / "user").readlink() == (caller / "ns" / "user").readlink()
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
