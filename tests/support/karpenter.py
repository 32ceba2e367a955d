"""Karpenter's own core on a control plane, with its makers' cloud whose machines are Node objects and nothing else.

What a kubelet and a device plugin would do on such a node is done here: say that it is ready and what it has, let pods
run and end. AWS' part of Karpenter is not there: neither EC2NodeClass nor what EC2 answers.
"""

from __future__ import annotations

import copy
import json
import os
import threading
from collections.abc import Callable, Generator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local import toolchain
from local.provider.kubeclient import ApiError
from tests.support.instance_types import INSTANCE_TYPES
from tests.support.paper_cluster import NAMESPACE, Cluster, awaited, running
from tests.support.stacks import ROOT

POOL_LABEL = "karpenter.sh/nodepool"
_CLASS = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "paper"}
_DEFINITIONS = ROOT / "tests" / "support" / "crds"
_OUR_DEFINITIONS = ("karpenter-1.14.1-nodepools.yaml", "karpenter-1.14.1-nodeoverlays.yaml")
_ITS_DEFINITIONS = ("karpenter.sh_nodeclaims.yaml", "karpenter.kwok.sh_kwoknodeclasses.yaml")
_NODES = "/api/v1/nodes"
_CLAIMS = "/apis/karpenter.sh/v1/nodeclaims"
_HEARTBEAT_SECONDS = 10
_LOOK_SECONDS = 0.2
PATIENCE_SECONDS = 120.0
"""For what takes Karpenter some 30 seconds, on a machine with other work."""


class Kubelets(threading.Thread):
    """The kubelets of all nodes, and their device plugins."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(name="kubelets", daemon=True)
        self._cluster, self._client = cluster, cluster.plane.client
        self._ended = threading.Event()
        self._trouble: Exception | None = None
        self._announced: dict[str, Mapping[str, str]] = {}

    def announce(self, pool: str, devices: Mapping[str, str]) -> None:
        """Let the device plugin announce something else than whole cards on nodes of a pool."""
        self._announced[pool] = devices

    def run(self) -> None:
        try:
            while not self._ended.wait(_LOOK_SECONDS):
                for node in self._client.list(_NODES):
                    self._unless_gone(self._tend_node, node)
                for pod in self._client.list(f"/api/v1/namespaces/{NAMESPACE}/pods", fieldSelector="spec.nodeName!="):
                    self._unless_gone(self._tend_pod, pod)
        except Exception as error:  # noqa: BLE001 kept for whoever ends this thread
            self._trouble = error

    def end(self) -> None:
        """End all of them.

        Raises:
            Exception: what made them stop before.
        """
        self._ended.set()
        self.join()
        if self._trouble is not None:
            raise self._trouble

    def _unless_gone(self, tend: Callable[[dict[str, Any]], None], thing: dict[str, Any]) -> None:
        try:
            tend(thing)
        except ApiError as error:
            if not error.is_not_found:
                raise

    def _tend_node(self, node: dict[str, Any]) -> None:
        metadata, now = node["metadata"], datetime.now(UTC)
        ready = next((it for it in node["status"].get("conditions", []) if it["type"] == "Ready"), None)
        if ready is not None and ready["status"] == "True":
            heard = datetime.fromisoformat(ready["lastHeartbeatTime"])
            if (now - heard).total_seconds() < _HEARTBEAT_SECONDS:
                return
        labels = metadata["labels"]
        capacity = INSTANCE_TYPES[labels["node.kubernetes.io/instance-type"]].capacity
        capacity |= self._announced.get(labels[POOL_LABEL], {})
        condition = {
            "type": "Ready",
            "status": "True",
            "reason": "Test",
            "message": "on paper",
            "lastHeartbeatTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        status = {"capacity": capacity, "allocatable": capacity, "conditions": [condition]}
        self._apply("Node", metadata, f"{_NODES}/{metadata['name']}", status)

    def _tend_pod(self, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        if "deletionTimestamp" in metadata:
            self._cluster.end_pod(metadata["name"])
        elif pod["status"]["phase"] == "Pending":
            status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
            path = f"/api/v1/namespaces/{NAMESPACE}/pods/{metadata['name']}"
            self._apply("Pod", metadata, path, status)

    def _apply(self, kind: str, metadata: dict[str, Any], path: str, status: dict[str, Any]) -> None:
        identity = {key: metadata[key] for key in ("name", "namespace", "uid") if key in metadata}
        obj = {"apiVersion": "v1", "kind": kind, "metadata": identity, "status": status}
        self._client.apply(f"{path}/status", obj, force=True)


class Karpenter:
    """A cluster whose nodes Karpenter makes and removes."""

    def __init__(self, cluster: Cluster, kubelets: Kubelets) -> None:
        self.cluster, self.kubelets = cluster, kubelets

    def add_pool(self, rendered: dict[str, Any], *, idle: str | None = None, expire: str | None = None) -> None:
        """Add a pool as it is rendered, but with machines on paper, and with shorter times where they are given."""
        pool = copy.deepcopy(rendered)
        pool["spec"]["template"]["spec"]["nodeClassRef"] = _CLASS
        if idle is not None:
            pool["spec"]["disruption"]["consolidateAfter"] = idle
        if expire is not None:
            pool["spec"]["template"]["spec"]["expireAfter"] = expire
        self.cluster.create(pool)
        name = pool["metadata"]["name"]
        self.cluster.plane.kubectl("wait", "--for=condition=Ready", f"nodepool/{name}", "--timeout=60s")

    def claims_of(self, pool: str) -> dict[str, dict[str, Any]]:
        """Return the claims of a pool by name."""
        return self._by_name(_CLAIMS, labelSelector=f"{POOL_LABEL}={pool}")

    def node_of_claim(self, pool: str, claim: str) -> str | None:
        """Return the node that a claim has become; None if that is not known yet."""
        return self.claims_of(pool)[claim].get("status", {}).get("nodeName")

    def nodes_of(self, pool: str) -> dict[str, dict[str, Any]]:
        """Return the nodes of a pool by name."""
        return self._by_name(_NODES, labelSelector=f"{POOL_LABEL}={pool}")

    def going(self, nodes: AbstractSet[str]) -> set[str]:
        """Return which of these nodes are on their way out, or gone."""
        present = self._by_name(_NODES)
        return {name for name in nodes if name not in present or "deletionTimestamp" in present[name]["metadata"]}

    def node_of(self, pod: str) -> str:
        """Return the node that a pod got."""
        return self.cluster.node_of(pod, PATIENCE_SECONDS)

    def refusal_of(self, pod: str) -> str:
        """Return why Karpenter makes no node for a pod."""
        path, of_pod = f"/api/v1/namespaces/{NAMESPACE}/events", f"involvedObject.name={pod},reason=FailedScheduling"

        def look() -> str | None:
            found = self._by_name(path, fieldSelector=of_pod).values()
            return next((it["message"] for it in found if it["source"].get("component") == "karpenter"), None)

        return awaited(look, lambda: self.cluster.pod(pod)["status"], PATIENCE_SECONDS)

    def _by_name(self, path: str, **selectors: str) -> dict[str, dict[str, Any]]:
        return {item["metadata"]["name"]: item for item in self.cluster.plane.client.list(path, **selectors)}


@contextmanager
def karpenter(cluster: Cluster, folder: Path, gates: Mapping[str, bool]) -> Generator[Karpenter]:
    """Run Karpenter with these features switched on or off."""
    tools = toolchain.ensure(["karpenter"])
    files = [*(_DEFINITIONS / name for name in _OUR_DEFINITIONS), *(tools.bin(name) for name in _ITS_DEFINITIONS)]
    cluster.plane.kubectl("apply", "--server-side", *(f"--filename={file}" for file in files))
    cluster.plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    kind = {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": _CLASS["kind"]}
    cluster.create({**kind, "metadata": {"name": _CLASS["name"]}, "spec": {}})
    types = folder / "instance-types.json"
    types.write_text(json.dumps([item.listed() for item in INSTANCE_TYPES.values()]))
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.plane.kubeconfig),
        "INSTANCE_TYPES_FILE_PATH": str(types),
        "FEATURE_GATES": ",".join(f"{name}={str(on).lower()}" for name, on in gates.items()),
        "DISABLE_LEADER_ELECTION": "true",
        # Any free ports: nobody asks there.
        "METRICS_PORT": "0",
        "HEALTH_PROBE_PORT": "0",
    }
    kubelets = Kubelets(cluster)
    with running([str(tools.bin("karpenter"))], folder, environment):
        kubelets.start()
        try:
            yield Karpenter(cluster, kubelets)
        finally:
            kubelets.end()
