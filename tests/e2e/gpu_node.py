"""A node with cards, on which NVIDIA's device plugin runs, and the pods of its tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from components._workload import Resources
from components.model_server import ModelServer
from tests.e2e.cards import Cards
from tests.e2e.node_support import IDLE, SHELL_IMAGE, NodeUnderTest, eventually
from tests.support import pods
from tests.support.catalogue import declare_one

ACCELERATOR: Final = "l4"
PLUGIN_IMAGE: Final = "localhost/mlplatform-test/device-plugin:1"
_SOCKETS: Final = "/var/lib/kubelet/device-plugins"
_LIBRARIES: Final = "/driver"


@dataclass(frozen=True)
class GpuNode:
    """A node with cards, on which NVIDIA's device plugin runs."""

    node: NodeUnderTest
    cards: Cards

    def allocatable(self, resource: str) -> int:
        """Return how much of a resource the scheduler may give away here; 0 if the node does not know it."""
        found = self.node.get("node", f"mlplatform-{self.node.config.name}")["status"]["allocatable"]
        return int(found.get(resource, 0))

    def run_plugin(self, settings: Mapping[str, str]) -> None:
        """Run the plugin, in place of one that runs, with a file of settings (name -> content) or with none."""
        self.node.kubectl("delete", "pod/device-plugin", "configmap/sharing", "--ignore-not-found")
        self.node.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sharing"}, "data": settings})
        arguments = [f"--config-file=/settings/{name}" for name in settings]
        self.node.apply(_plugin_pod(self.cards, arguments))

    def await_allocatable(self, resources: Mapping[str, int]) -> None:
        """Wait until the node offers exactly this of each resource named."""

        def offered() -> bool:
            return {name: self.allocatable(name) for name in resources} == resources

        try:
            eventually(offered, 60, f"node offers {resources}")
        except AssertionError as error:
            raise AssertionError(self.node.kubectl("logs", "device-plugin", "--tail=20")) from error

    def card_of(self, pod: str) -> str:
        """Return the card that a running pod was given, as the plugin says it to the container."""
        self.node.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=60s")
        return self.node.kubectl("exec", pod, "--", "/bin/sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES").strip()

    def why_waiting(self, pod: str) -> str:
        """Return why the scheduler leaves a pod without a node, once it says so."""
        found: list[str] = []

        def said() -> bool:
            conditions = self.node.get("pod", pod)["status"].get("conditions", [])
            found.extend(item["message"] for item in conditions if item.get("reason") == "Unschedulable")
            return found != []

        eventually(said, 30, f"the scheduler says why {pod} waits")
        return found[0]

    def remove(self, *names: str) -> None:
        self.node.kubectl("delete", "pod", *names, "--grace-period=1")


def _plugin_pod(cards: Cards, arguments: list[str]) -> dict[str, Any]:
    """Return the plugin as its makers' manifests run it, on a node without a container toolkit."""
    folders = {"sockets": _SOCKETS, "driver": str(cards.libraries)}
    # Cards on paper have no files below /dev that a container could be given.
    devices = ["--pass-device-specs"] if cards.real else []
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "device-plugin"},
        "spec": {
            "terminationGracePeriodSeconds": 2,
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {
                    "name": "main",
                    "image": PLUGIN_IMAGE,
                    "args": [*arguments, *devices],
                    "env": [{"name": "LD_LIBRARY_PATH", "value": _LIBRARIES}],
                    "securityContext": {"privileged": True, "runAsUser": 0},
                    "volumeMounts": [
                        {"name": "sockets", "mountPath": _SOCKETS},
                        {"name": "driver", "mountPath": _LIBRARIES, "readOnly": True},
                        {"name": "settings", "mountPath": "/settings"},
                    ],
                }
            ],
            "volumes": [
                *({"name": name, "hostPath": {"path": path}} for name, path in folders.items()),
                {"name": "settings", "configMap": {"name": "sharing"}},
            ],
        },
    }


def server_pod(name: str, resource: str, gpus: int = 1, script: str = IDLE) -> dict[str, Any]:
    """Return a pod that asks for GPUs as a model's slot does, and runs a script instead of the server."""
    spec = _slot(resource)
    (amounts,) = (it["resources"] for it in spec["containers"] if resource in it["resources"].get("limits", {}))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": spec["nodeSelector"],
            "tolerations": spec["tolerations"],
            "containers": [
                {
                    "name": "main",
                    "image": SHELL_IMAGE,
                    "command": ["/bin/sh", "-c", script],
                    "resources": {kind: {resource: str(gpus)} for kind in amounts},
                }
            ],
        },
    }


@cache
def _slot(resource: str) -> dict[str, Any]:
    """Return what the pods of a slot with a GPU are; nobody changes it."""
    wanted = Resources(cpu_millis=10, memory_mib=64, memory_limit_mib=128, gpus=1, gpu_resource=resource)
    graph = declare_one(ModelServer, instance="served", server_resources=wanted, accelerator=ACCELERATOR)
    return pods.template_of(graph.object("Deployment", "served-stable"))["spec"]


def with_driver(pod: dict[str, Any], gpu_node: GpuNode) -> dict[str, Any]:
    """Give a pod the driver's libraries, as a container toolkit does."""
    (container,) = pod["spec"]["containers"]
    container["env"] = [{"name": "LD_LIBRARY_PATH", "value": _LIBRARIES}]
    container["volumeMounts"] = [{"name": "driver", "mountPath": _LIBRARIES, "readOnly": True}]
    pod["spec"]["volumes"] = [{"name": "driver", "hostPath": {"path": str(gpu_node.cards.libraries)}}]
    return pod
