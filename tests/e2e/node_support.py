"""A started node and small pods, for the tests of the embedded node by itself."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import node, toolchain
from local.node import NodeConfig, NodeHandle
from local.progress import ConsoleProgress
from tests.support.ports import free_port

SHELL_IMAGE = "localhost/mlplatform-test/shell:1"
ADDON_IMAGES = {name: f"localhost/mlplatform-test/{name}:1" for name in ("coredns", "metrics-server")}
IDLE = "trap 'exit 0' TERM; while true; do sleep 1; done"
WRITER = f"echo started >> /data/log; {IDLE}"


@dataclass(frozen=True)
class NodeUnderTest:
    """A started node and what a test does with it."""

    config: NodeConfig
    tools: toolchain.Toolchain

    def start(self) -> NodeHandle:
        """Start the node or find it running."""
        return node.start(self.config, self.tools, ConsoleProgress())

    def is_ready(self) -> bool:
        """Return whether the node reports Ready."""
        return node.status(self.config.name, self.config.state_dir).ready

    def leftovers(self) -> tuple[str, ...]:
        """Return the control groups that a killed node left."""
        return node.status(self.config.name, self.config.state_dir).leftovers

    def furnish(self, handle: NodeHandle, archives: list[Path]) -> None:
        """Import images and install what every node has."""
        for archive in archives:
            handle.ctr(["images", "import", str(archive)])
        node.install_addons(handle, ADDON_IMAGES, ConsoleProgress())

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl and return what it prints."""
        command = [str(self.tools.bin("kubectl")), f"--kubeconfig={self.config.state_dir / 'kubeconfig'}", *arguments]
        environment = {**os.environ, "KUBECACHEDIR": str(self.config.state_dir / "kubectl-cache")}
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def apply(self, *objects: dict[str, object]) -> None:
        """Apply objects."""
        self.kubectl("apply", "-f", "-", stdin="\n---\n".join(json.dumps(item) for item in objects))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Return an object."""
        return json.loads(self.kubectl("get", kind, name, "-o", "json"))

    def child(self, name: str) -> int:
        """Return the process id, on this machine, of one of the node's supervised processes."""
        first = node.attach(self.config.state_dir).pid
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        found = [pid for pid in children if name in _program(int(pid))]
        assert len(found) == 1, f"{name}: {found}"
        return int(found[0])


def _program(pid: int) -> tuple[str, str]:
    """Return the name of a process's program, and of the Python module if it runs one."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return Path(words[0]).name, words[2] if words[1:2] == ["-m"] else ""


def eventually(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def new_config(name: str, folder: Path) -> NodeConfig:
    return NodeConfig(
        name=name,
        state_dir=folder / "node",
        api_port=free_port(),
        gateway_port=free_port(),
        pause_image=SHELL_IMAGE,
    )


def claim(name: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }


def pod(name: str, claim: str, script: str) -> dict[str, object]:
    """A pod under the restricted Pod Security profile, whose user may write to the volume only through fsGroup."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 3,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1234,
                "fsGroup": 5678,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "main",
                    "image": SHELL_IMAGE,
                    "command": ["/bin/sh", "-c", script],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                }
            ],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
        },
    }
