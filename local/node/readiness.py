"""Waits until a started node is ready, and says what is to blame when it does not get there."""

from __future__ import annotations

import time
from typing import Final

import httpx

from local.node import kubeapi, logs, processes
from local.node.config import HOST_ADDRESS, NodeConfig
from local.node.errors import NodeError
from local.node.layout import Layout

START_SECONDS: Final = 120.0
_APPEARANCE_SECONDS: Final = 5.0
"""How long the supervisor may take to show up after its command was started."""
_POLL_SECONDS: Final = 0.25


def wait_until_ready(config: NodeConfig) -> int:
    """Return the process id of the node's process 1 once the node reports Ready and its administrator may do so.

    Raises:
        NodeError: the node ended or is not ready in time; the message names processes and their last log lines.
    """
    started = time.monotonic()
    while time.monotonic() < started + START_SECONDS:
        pid = processes.find_first(config.state_dir)
        appears = time.monotonic() < started + _APPEARANCE_SECONDS or processes.find(config.state_dir)
        if pid is None and not appears:
            raise NodeError(_blame(config, "the node's first process ended"))
        if pid is not None and is_ready(config, pid):
            with _connect(config) as client:
                kubeapi.grant_administration(client)
            return pid
        time.sleep(_POLL_SECONDS)
    raise NodeError(_blame(config, f"the node is not ready after {START_SECONDS:g} s"))


def is_ready(config: NodeConfig, pid: int) -> bool:
    """Return whether the API server answers and says that the node, whose process 1 is `pid`, is ready."""
    try:
        with _connect(config) as client:
            return kubeapi.node_ready(client, config.node_name, processes.started_at(pid))
    except (httpx.HTTPError, OSError, ValueError):
        return False


def _connect(config: NodeConfig) -> httpx.Client:
    """Return a client with the rights of super-admin, which no binding in the cluster can take away."""
    kubeconfig = Layout(config.state_dir).kubeconfigs / "super-admin.conf"
    return kubeapi.connect(kubeconfig, f"https://{HOST_ADDRESS}:{config.api_port}")


def _blame(config: NodeConfig, what: str) -> str:
    """Return `what` with the last lines of the supervisor and of each process that ended."""
    folder = Layout(config.state_dir).logs
    supervisor = logs.tail(folder / "supervisor.log", 200)
    ended = [path.stem for path in sorted(folder.glob("*.log")) if f" {path.stem} ended with " in supervisor]
    parts = [f"{what}; logs are in {folder}", "--- supervisor", "\n".join(supervisor.splitlines()[-12:])]
    for name in ended:
        parts += [f"--- {name}", logs.tail(folder / f"{name}.log", 8)]
    return "\n".join(parts)
