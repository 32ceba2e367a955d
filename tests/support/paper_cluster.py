"""A control plane whose scheduler decides about pods, with nodes that exist on paper: no kubelet stands behind them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from components.model_server import ModelServer
from components.priority_classes import PriorityClasses
from local import toolchain
from tests.local.provider.control_plane import ControlPlane, control_plane
from tests.support import pods
from tests.support.catalogue import declare_one

NAMESPACE = "serving"
MODEL = "some-model"
PATIENCE_SECONDS = 15.0
_Found = TypeVar("_Found")


class Cluster:
    """A control plane with a scheduler, and nodes and pods on paper."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane, self._folder = plane, folder

    def create(self, manifest: dict[str, Any]) -> None:
        file = self._folder / "object.json"
        file.write_text(json.dumps(manifest))
        self.plane.kubectl("create", "-f", str(file))

    def add_node(self, name: str, labels: Mapping[str, str], taints: list[Any], capacity: Mapping[str, str]) -> None:
        """Add a node that is ready and has this capacity."""
        labels = {**labels, "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": "eu-central-1a"}
        metadata = {"name": name, "labels": labels}
        self.create({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"taints": taints}})
        status = {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Test", "message": "on paper"}],
        }
        patch = json.dumps({"status": status})
        self.plane.kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", patch)

    def add_gpu_node(self, name: str, pool: dict[str, Any], gpus: Mapping[str, str]) -> None:
        """Add a node as the pool's template says."""
        template = pool["spec"]["template"]
        capacity = {"cpu": "8", "memory": "32Gi", "pods": "50", **gpus}
        self.add_node(name, template["metadata"]["labels"], template["spec"]["taints"], capacity)

    def add_pod(self, name: str, template: dict[str, Any]) -> None:
        self.add_pods([name], template)

    def add_pods(self, names: Sequence[str], template: dict[str, Any]) -> None:
        """Add pods that are alike, at once."""
        items = [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {**template["metadata"], "name": name, "namespace": NAMESPACE},
                "spec": template["spec"],
            }
            for name in names
        ]
        self.create({"apiVersion": "v1", "kind": "List", "items": items})

    def delete_pods(self, names: Sequence[str]) -> None:
        """Ask for pods' end; their kubelets end them."""
        self.plane.kubectl("delete", f"--namespace={NAMESPACE}", "--wait=false", "pod", *names)

    def end_pod(self, name: str) -> None:
        """End a pod as its kubelet does."""
        self.plane.kubectl(
            "delete", f"--namespace={NAMESPACE}", "--grace-period=0", "--force", "--ignore-not-found", "pod", name
        )

    def pod(self, name: str) -> dict[str, Any]:
        return self.plane.get(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}")

    def node_of(self, pod: str, patience_seconds: float = PATIENCE_SECONDS) -> str:
        """Return the node that the scheduler chose."""

        def place() -> str | None:
            return self.pod(pod)["spec"].get("nodeName")

        return awaited(place, lambda: self.pod(pod)["status"], patience_seconds)

    def waits_for(self, pod: str) -> str:
        """Return why the scheduler leaves a pod without a node."""

        def reason() -> str | None:
            found = self.pod(pod)
            assert "nodeName" not in found["spec"], f"{pod} is on {found['spec'].get('nodeName')}"
            conditions = found["status"].get("conditions", [])
            return next((it["message"] for it in conditions if it.get("reason") == "Unschedulable"), None)

        return awaited(reason, lambda: self.pod(pod)["status"])

    def await_count_of(self, quota: str) -> None:
        """Wait until a quota knows what is used of it; until then it refuses everything."""
        jsonpath = "--for=jsonpath={.status.used}"
        self.plane.kubectl("wait", f"--namespace={NAMESPACE}", jsonpath, f"resourcequota/{quota}", "--timeout=30s")


def awaited(
    look: Callable[[], _Found | None], state: Callable[[], object], patience_seconds: float = PATIENCE_SECONDS
) -> _Found:
    """Return what `look` finds once that is something; until its time is up, which fails with the state."""
    deadline = time.monotonic() + patience_seconds
    while not (found := look()):
        assert time.monotonic() < deadline, state()
        time.sleep(0.1)
    return found


@contextmanager
def running(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> Generator[None]:
    """Run a program that logs into the folder, and kill it at the end, or when the tests are killed themselves."""
    name = Path(command[0]).name
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", *command], stdout=log, stderr=log, cwd=folder, env=environment
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()


@contextmanager
def scheduling_cluster(folder: Path) -> Generator[Cluster]:
    """Run a control plane with Kubernetes' own scheduler, a namespace and the platform's priorities."""
    tools = toolchain.ensure(["etcd", "kubernetes"])
    with control_plane(folder, tools) as plane:
        scheduler = [
            str(tools.bin("kube-scheduler")),
            f"--kubeconfig={plane.kubeconfig}",
            "--leader-elect=false",
            "--secure-port=0",
        ]
        with running(scheduler, folder):
            plane.kubectl("create", "namespace", NAMESPACE)
            plane.kubectl("wait", f"--namespace={NAMESPACE}", "--for=create", "serviceaccount/default", "--timeout=30s")
            cluster = Cluster(plane, folder)
            for item in declare_one(PriorityClasses, instance=MODEL).kubernetes_objects():
                cluster.create(item.manifest)
            yield cluster


def model_server(**changes: Any) -> dict[str, Any]:
    """Return the pod of a model's stable slot."""
    graph = declare_one(ModelServer, instance=MODEL, **changes)
    return pods.template_of(graph.object("Deployment", f"{MODEL}-stable"))
