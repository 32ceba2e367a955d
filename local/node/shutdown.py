"""How the node ends in good order: containers get the chance to write their data before the ground goes away."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

_FIRST: Final = ("kubelet", "kube-controller-manager", "kube-scheduler", "provisioner", "kube-proxy")
"""Ended first: they would start again, or move, what is being ended."""
_STATELESS: Final = ("kube-apiserver", "relay")
"""Killed: they keep nothing, and the API server would make etcd wait while it sees off its watchers."""
_FIRST_SECONDS: Final = 2.0
_CONTAINERS_SECONDS: Final = 8.0
_REST_SECONDS: Final = 4.0


def end_everything(services: Mapping[str, int]) -> None:
    """End all processes of the PID namespace, of which the caller is process 1.

    Args:
        services: the node's own running processes, name -> process id.
    """
    if os.getpid() != 1:
        raise RuntimeError("refused: not process 1 of a PID namespace; this would end the containers of others")
    first = [services[name] for name in _FIRST if name in services]
    _end(first, _FIRST_SECONDS)
    _end(_container_processes(), _CONTAINERS_SECONDS)
    for name in _STATELESS:
        if name in services:
            _signal(services[name], signal.SIGKILL)
    _end([pid for name, pid in services.items() if name not in (*_FIRST, *_STATELESS)], _REST_SECONDS)


def _container_processes() -> list[int]:
    """Return the processes in other PID namespaces than ours: those of containers."""
    own = Path("/proc/self/ns/pid").readlink()
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if (folder / "ns" / "pid").readlink() != own:
                found.append(int(folder.name))
        except OSError:  # it ended meanwhile
            continue
    return found


def _end(pids: Collection[int], patience_seconds: float) -> None:
    """Ask processes to end and wait until they have, or for `patience_seconds`."""
    for pid in pids:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        _reap()
        if not any(_exists(pid) for pid in pids):
            return
        time.sleep(0.05)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _reap() -> None:
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return
