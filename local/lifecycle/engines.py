"""Finds and ends engines (with their plugins and programs) that outlived the command that had started them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from itertools import pairwise
from pathlib import Path

from local.lifecycle.instance import Instance
from local.own_processes import command_lines

ORPHAN_SECONDS = 60.0
"""How long an engine whose command was killed may take to stop by itself, as it does after Ctrl-C."""
_POLL_SECONDS = 0.1
_KILLED_SECONDS = 10.0


def engine_dir(instance: Instance) -> Path:
    """Return the folder of the instance's engine and language host."""
    return instance.state_dir / "engine"


def provider_dir(instance: Instance) -> Path:
    """Return the folder of the instance's provider plugin."""
    return instance.state_dir / "provider"


def find(instance: Instance) -> list[int]:
    """Return the processes of the instance's engines, of ours: by their folder, or by the project they work on."""
    folders = (engine_dir(instance), provider_dir(instance))
    found: list[int] = []
    for pid, words in command_lines().items():
        on_project = ("--cwd", str(instance.project_dir)) in pairwise(words)
        if on_project or any(Path(word).is_relative_to(folder) for word in words for folder in folders):
            found.append(pid)
    return sorted(found)


def end(instance: Instance, patience_seconds: float = ORPHAN_SECONDS) -> None:
    """Return when no engine of the instance runs: one that still does after some time is killed.

    Call it only where no other command can be at work. An engine whose command died stops at the next good moment
    (see stack.py); patience lets it write down what it has done.

    Raises:
        TimeoutError: even killed processes do not go away.
    """
    if _gone_within(instance, patience_seconds):
        return
    for pid in find(instance):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not _gone_within(instance, _KILLED_SECONDS):
        raise TimeoutError(f"processes {find(instance)} of an earlier command do not end")


def _gone_within(instance: Instance, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while find(instance):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
