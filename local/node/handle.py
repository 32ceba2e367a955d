"""A running node as the rest of `local` uses it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local.node import processes
from local.node.config import NodeConfig
from local.node.errors import NodeError
from local.node.isolation import enter_command
from local.node.layout import Layout
from local.node.services import container_tool


@dataclass(frozen=True)
class NodeHandle:
    """One running node."""

    config: NodeConfig
    pid: int
    """Process id, on the host, of the node's process 1."""

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig that works on the host."""
        return Layout(self.config.state_dir).host_kubeconfig

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Return the command line that runs `arguments` inside the node's network, mounts and processes.

        Raises:
            NodeError: the node has ended; its number may be another process's by now, whose mounts root must not enter.
        """
        if processes.find_first(self.config.state_dir) != self.pid:
            raise NodeError(f"the node of `{self.config.name}` has ended")
        return [*enter_command(self.pid), *arguments]

    def run(
        self,
        arguments: Sequence[str],
        *,
        check: bool = True,
        stdin: str | None = None,
        timeout_seconds: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside the node and return its output. Files of the host are visible, except /run.

        Raises:
            NodeError: the node has ended.
            subprocess.CalledProcessError: it failed and `check` is set; `stderr` says why.
            subprocess.TimeoutExpired: it took longer than `timeout_seconds`.
        """
        return subprocess.run(
            self.command(arguments),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=check,
            timeout=timeout_seconds,
        )

    def ctr(
        self, arguments: Sequence[str], *, check: bool = True, timeout_seconds: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run containerd's command line tool on the images and containers that Kubernetes sees.

        Raises:
            NodeError: the node has ended.
            subprocess.CalledProcessError: it failed and `check` is set; `stderr` says why.
        """
        return self.run([*container_tool(self.config), *arguments], check=check, timeout_seconds=timeout_seconds)
