"""Kubernetes' own scheduler and controllers give model servers the cards that they claim as devices.

The driver's part is written by hand: its kind of device, and what it publishes of a node's cards. Nodes exist on paper,
and no kubelet hands a card to a container.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, cast

import pytest

from components._devices import DEVICE_QUOTA
from components._workload import Resources
from components.model_server import ModelServer
from ml.contracts.prerequisites import GPU_DEVICE_CLASS
from tests.support.catalogue import declare_one
from tests.support.paper_cluster import MODEL, NAMESPACE, Cluster, awaited, model_server, scheduling_cluster
from tests.support.pods import template_of

pytestmark = pytest.mark.slow

CARD = Resources(cpu_millis=500, memory_mib=512, memory_limit_mib=1024, gpus=1)
TWO_CARDS = Resources(cpu_millis=500, memory_mib=512, memory_limit_mib=1024, gpus=2)
NODE = {"cpu": "8", "memory": "32Gi", "pods": "50"}
TAINT = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
CLAIMS = f"/apis/resource.k8s.io/v1/namespaces/{NAMESPACE}/resourceclaims"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster]:
    with scheduling_cluster(tmp_path_factory.mktemp("claims")) as cluster:
        cluster.create(
            {
                "apiVersion": "resource.k8s.io/v1",
                "kind": "DeviceClass",
                "metadata": {"name": GPU_DEVICE_CLASS},
                "spec": {
                    "selectors": [
                        {
                            "cel": {
                                "expression": f"device.driver == '{GPU_DEVICE_CLASS}' && "
                                f"device.attributes['{GPU_DEVICE_CLASS}'].type == 'gpu'"
                            }
                        }
                    ]
                },
            }
        )
        yield cluster


def add_node_with_cards(cluster: Cluster, name: str, products: Sequence[str]) -> None:
    """Add a node with these cards, as NVIDIA's driver publishes them: none is counted in the node's own capacity."""
    cluster.add_node(name, {}, [TAINT], NODE)
    devices = [
        {
            "name": f"gpu-{index}",
            "attributes": {
                "type": {"string": "gpu"},
                "productName": {"string": product},
                "uuid": {"string": f"GPU-{name}-{index}"},
                "cudaComputeCapability": {"version": "8.9.0"},
            },
            "capacity": {"memory": {"value": "23034Mi"}},
        }
        for index, product in enumerate(products)
    ]
    cluster.create(
        {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceSlice",
            "metadata": {"name": f"{name}-cards"},
            "spec": {
                "driver": GPU_DEVICE_CLASS,
                "nodeName": name,
                "pool": {"name": name, "generation": 1, "resourceSliceCount": 1},
                "devices": devices,
            },
        }
    )


def claiming(cluster: Cluster, name: str, accelerator: str | None, resources: Resources = CARD) -> dict[str, Any]:
    """Make what a model's claims are written from; return the pod of its stable slot."""
    graph = declare_one(ModelServer, instance=name, server_resources=resources, accelerator=accelerator, claims=True)
    (template,) = graph.of_kind("ResourceClaimTemplate")
    manifest = template.manifest
    pod = template_of(graph.object("Deployment", f"{name}-stable"))
    cluster.create(
        {
            **manifest,
            "metadata": {"name": pod["spec"]["resourceClaims"][0]["resourceClaimTemplateName"], "namespace": NAMESPACE},
        }
    )
    print(pod["spec"]["resourceClaims"], pod["spec"]["containers"][0]["resources"], manifest)
    pod["spec"]["priorityClassName"] = model_server()["spec"]["priorityClassName"]
    return pod


def claim_of(cluster: Cluster, pod: str) -> dict[str, Any]:
    """Return the claim that Kubernetes wrote for a pod."""

    def name() -> str | None:
        statuses = cluster.pod(pod)["status"].get("resourceClaimStatuses", [])
        return next((item["resourceClaimName"] for item in statuses), None)

    return cluster.plane.get(f"{CLAIMS}/{awaited(name, lambda: cluster.pod(pod)['status'])}")


def cards_of(cluster: Cluster, pod: str) -> set[tuple[str, str]]:
    """Return node and name of each card that a pod has been given."""
    results = claim_of(cluster, pod)["status"]["allocation"]["devices"]["results"]
    assert {item["driver"] for item in results} == {GPU_DEVICE_CLASS}
    return {(item["pool"], item["device"]) for item in results}


def test_x(cluster: Cluster) -> None:
    pod = claiming(cluster, "some-model", "l4")
    cluster.add_node("cpu-1", {}, [], NODE)
    cluster.add_pod("first", pod)
    print(cluster.waits_for("first"))
    add_node_with_cards(cluster, "gpu-1", ["NVIDIA L4"])
    print(cluster.node_of("first"))
    print(cards_of(cluster, "first"))
    cluster.add_pod("second", pod)
    print(cluster.waits_for("second"))
    cluster.end_pod("first")
    print(cluster.node_of("second"))
    print(claim_of(cluster, "second"))
