"""A real API server that holds what a stack declares: no node, so nothing runs."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.progress import ConsoleProgress
from local.toolchain import ensure
from tests.local.provider.control_plane import control_plane
from tests.support.recording_monitor import Graph, Recorded


@contextmanager
def api_server(folder: Path) -> Generator[list[str]]:
    """Run an API server and yield the command that asks it as its administrator."""
    toolchain = ensure(["etcd", "kubernetes"], ConsoleProgress())
    with control_plane(folder, toolchain) as running:
        yield [str(toolchain.bin("kubectl")), f"--kubeconfig={running.kubeconfig}"]


def run(kubectl: Sequence[str], *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*kubectl, *arguments], input=stdin, capture_output=True, text=True, timeout=300, check=False)


def manifest_of(item: Recorded) -> dict[str, Any]:
    """Return an object under the name that others know it by, which Pulumi makes for those that have none."""
    manifest = json.loads(json.dumps(item.manifest))
    digest = hashlib.sha256(item.urn.encode()).hexdigest()[:8]
    manifest["metadata"].setdefault("name", f"{item.name}-{digest}")
    return manifest


def as_list(items: Sequence[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)})


def fill(kubectl: Sequence[str], graph: Graph) -> str:
    """Give the server every object of Kubernetes itself; return its warnings."""
    manifests = [manifest_of(item) for item in graph.kubernetes_objects()]
    others = (".istio.io", "cert-manager.io", "keda.sh")
    manifests = [item for item in manifests if not item["apiVersion"].partition("/")[0].endswith(others)]
    mesh = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}
    first = [item for item in manifests if item["kind"] in {"Namespace", "CustomResourceDefinition"}]
    warnings = ""
    for group in ([mesh, *first], [item for item in manifests if item not in first]):
        done = run(kubectl, "apply", "--server-side", "--filename=-", stdin=as_list(group))
        assert done.returncode == 0, done.stderr
        warnings += done.stderr
    return warnings
