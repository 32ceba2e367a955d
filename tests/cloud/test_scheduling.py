"""Kubernetes' own scheduler puts pods that want a GPU on the nodes of their pool, and no others.

Nodes are objects made from the template of the stack's own NodePool, with what a device plugin would announce; no
kubelet stands behind them. What this does not prove: that Karpenter makes such a node, and removes it when it idles.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from components._workload import Resources
from components.model_server import ModelServer
from components.node_pool import Gpus, NodePool
from components.priority_classes import PriorityClasses
from local import toolchain
from tests.local.provider.control_plane import ControlPlane, control_plane
from tests.support import pods
from tests.support.catalogue import declare_one
from tests.support.stacks import STACKS

pytestmark = pytest.mark.slow

NAMESPACE = "serving"
MODEL = "some-model"
PATIENCE_SECONDS = 15.0
GPU = Resources(cpu_millis=500, memory_mib=512, memory_limit_mib=1024, gpus=1)
TURN = Resources(cpu_millis=500, memory_mib=512, memory_limit_mib=1024, gpus=1, gpu_resource="nvidia.com/gpu.shared")
LARGE = Resources(cpu_millis=6000, memory_mib=512, memory_limit_mib=1024)
"""Fits on the GPU node only, which has the room."""
CPU_NODE = {"cpu": "4", "memory": "16Gi", "pods": "50"}


class Cluster:
    """A control plane with a scheduler, and nodes and pods on paper."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self._plane, self._folder = plane, folder

    def create(self, manifest: dict[str, Any]) -> None:
        file = self._folder / "object.json"
        file.write_text(json.dumps(manifest))
        self._plane.kubectl("create", "-f", str(file))

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
        self._plane.kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", patch)

    def add_gpu_node(self, name: str, pool: dict[str, Any], gpus: Mapping[str, str]) -> None:
        """Add a node as the pool's template says."""
        template = pool["spec"]["template"]
        capacity = {"cpu": "8", "memory": "32Gi", "pods": "50", **gpus}
        self.add_node(name, template["metadata"]["labels"], template["spec"]["taints"], capacity)

    def add_pod(self, name: str, template: dict[str, Any]) -> None:
        metadata = {**template["metadata"], "name": name, "namespace": NAMESPACE}
        self.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})

    def node_of(self, pod: str) -> str:
        """Return the node that the scheduler chose."""

        def place(spec: dict[str, Any], _: list[dict[str, Any]]) -> str | None:
            return spec.get("nodeName")

        return self._await(pod, place)

    def waits_for(self, pod: str) -> str:
        """Return why the scheduler leaves a pod without a node."""

        def reason(spec: dict[str, Any], conditions: list[dict[str, Any]]) -> str | None:
            assert "nodeName" not in spec, f"{pod} is on {spec.get('nodeName')}"
            return next((it["message"] for it in conditions if it.get("reason") == "Unschedulable"), None)

        return self._await(pod, reason)

    def await_count_of(self, quota: str) -> None:
        """Wait until a quota knows what is used of it; until then it refuses everything."""
        jsonpath = "--for=jsonpath={.status.used}"
        self._plane.kubectl("wait", f"--namespace={NAMESPACE}", jsonpath, f"resourcequota/{quota}", "--timeout=30s")

    def _await(self, pod: str, look: Callable[[dict[str, Any], list[dict[str, Any]]], str | None]) -> str:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = self._plane.get(f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}")
            if answer := look(found["spec"], found["status"].get("conditions", [])):
                return answer
            assert time.monotonic() < deadline, found["status"]
            time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster]:
    folder = tmp_path_factory.mktemp("scheduling")
    tools = toolchain.ensure(["etcd", "kubernetes"])
    with control_plane(folder, tools) as plane, (folder / "scheduler.log").open("wb") as log:
        command = [
            str(tools.bin("kube-scheduler")),
            f"--kubeconfig={plane.kubeconfig}",
            "--leader-elect=false",
            "--secure-port=0",
        ]
        scheduler = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            plane.kubectl("create", "namespace", NAMESPACE)
            plane.kubectl("wait", f"--namespace={NAMESPACE}", "--for=create", "serviceaccount/default", "--timeout=30s")
            cluster = Cluster(plane, folder)
            for item in declare_one(PriorityClasses, instance=MODEL).kubernetes_objects():
                cluster.create(item.manifest)
            yield cluster
        finally:
            scheduler.kill()
            scheduler.wait()


def template(**changes: Any) -> dict[str, Any]:
    """Return the pod of a model's stable slot."""
    graph = declare_one(ModelServer, instance=MODEL, **changes)
    return pods.template_of(graph.object("Deployment", "some-model-stable"))


def test_pods_find_their_nodes_and_only_these_when_gpus_come(cluster: Cluster) -> None:
    pool = STACKS["prod"].run().object("NodePool", "gpu-l4").manifest
    on_gpu = template(server_resources=GPU, accelerator="l4")
    cluster.add_node("cpu-1", {"mlplatform.dev/pool": "cpu"}, [], CPU_NODE)

    cluster.add_pod("gpu-first", on_gpu)
    assert "didn't match Pod's node affinity/selector" in cluster.waits_for("gpu-first")
    cluster.add_pod("cpu-first", template())
    assert cluster.node_of("cpu-first") == "cpu-1"

    cluster.add_gpu_node("gpu-1", pool, {"nvidia.com/gpu": "1"})
    assert cluster.node_of("gpu-first") == "gpu-1"

    # The pool's only card is taken; another card does not do; and no pod without a GPU goes where there is room.
    cluster.add_pod("gpu-second", on_gpu)
    assert "Insufficient nvidia.com/gpu" in cluster.waits_for("gpu-second")
    cluster.add_pod("gpu-other-card", template(server_resources=GPU, accelerator="a10g"))
    assert "didn't match Pod's node affinity/selector" in cluster.waits_for("gpu-other-card")
    cluster.add_pod("cpu-large", template(server_resources=LARGE))
    assert "1 Insufficient cpu, 1 node(s) had untolerated taint(s)" in cluster.waits_for("cpu-large")


def test_as_many_pods_as_turns_share_a_card_when_it_is_divided_by_time(cluster: Cluster) -> None:
    graph = declare_one(NodePool, gpus=Gpus(accelerator="t4", per_node=1, limit=4, time_slices=2))
    (pool,), (overlay,) = graph.of_kind("NodePool"), graph.of_kind("NodeOverlay")
    announced = overlay.manifest["spec"]["capacity"]
    assert announced == {"nvidia.com/gpu.shared": "2"}
    cluster.add_gpu_node("shared-1", pool.manifest, {"nvidia.com/gpu": "0", **announced})
    sharing = template(server_resources=TURN, accelerator="t4")
    for name in ("turn-1", "turn-2"):
        cluster.add_pod(name, sharing)
        assert cluster.node_of(name) == "shared-1"
    cluster.add_pod("turn-3", sharing)
    assert "Insufficient nvidia.com/gpu.shared" in cluster.waits_for("turn-3")
    cluster.add_pod("whole-card", template(server_resources=GPU, accelerator="t4"))
    assert "Insufficient nvidia.com/gpu" in cluster.waits_for("whole-card")


def test_quota_is_kept_when_pods_ask_for_more_gpus(cluster: Cluster) -> None:
    limits = {"requests.nvidia.com/gpu": "5", "requests.nvidia.com/gpu.shared": "3"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "gpus", "namespace": NAMESPACE}}
    cluster.create({**quota, "spec": {"hard": limits}})
    cluster.await_count_of("gpus")
    more = template(server_resources=GPU, accelerator="l4")
    # Four pods of the tests before ask for a card; at the fifth, a sixth is refused.
    cluster.add_pod("gpu-fifth", more)
    with pytest.raises(AssertionError, match=r"exceeded quota: gpus, requested: requests\.nvidia\.com/gpu=1"):
        cluster.add_pod("gpu-sixth", more)
