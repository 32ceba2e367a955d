"""Kubernetes' own scheduler and controllers give model servers the cards that they claim as devices.

The driver's part is written by hand: its kind of device, and what it publishes of a node's cards, in its words. Nodes
exist on paper, and no kubelet hands a card to a container.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from components._devices import device_amounts
from components._workload import Resources
from components.model_server import ModelServer
from local.toolchain import ensure
from ml.contracts.prerequisites import GPU_DEVICE_CLASS
from tests.local.provider.project import Project
from tests.support import pods
from tests.support.catalogue import declare_one
from tests.support.paper_cluster import NAMESPACE, Cluster, awaited, model_server, scheduling_cluster
from tests.support.stacks import ROOT

pytestmark = pytest.mark.slow

CARD = Resources(cpu_millis=500, memory_mib=512, memory_limit_mib=1024, gpus=1)
TWO_CARDS = Resources(cpu_millis=500, memory_mib=512, memory_limit_mib=1024, gpus=2)
LARGE = Resources(cpu_millis=6000, memory_mib=512, memory_limit_mib=1024)
"""Fits on nodes with cards only, which have the room."""
ROOM = {"cpu": "8", "memory": "32Gi", "pods": "50"}
LITTLE_ROOM = {"cpu": "4", "memory": "16Gi", "pods": "50"}
TAINT = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
DEVICES = "/apis/resource.k8s.io/v1"
CLAIMS = f"{DEVICES}/namespaces/{NAMESPACE}/resourceclaims"
NO_CARD = "cannot allocate all claims"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster]:
    """A cluster that knows NVIDIA's whole cards, with a node that has none."""
    with scheduling_cluster(tmp_path_factory.mktemp("claims")) as cluster:
        driver = f"device.driver == '{GPU_DEVICE_CLASS}'"
        whole = f"device.attributes['{GPU_DEVICE_CLASS}'].type == 'gpu'"
        spec = {"selectors": [{"cel": {"expression": f"{driver} && {whole}"}}]}
        kind = {"apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass", "metadata": {"name": GPU_DEVICE_CLASS}}
        cluster.create({**kind, "spec": spec})
        cluster.add_node("no-cards", {}, [], LITTLE_ROOM)
        yield cluster


def add_node_with_cards(cluster: Cluster, name: str, cards: Mapping[str, str], kind: str = "gpu") -> None:
    """Add a node with these cards, products by name; none is counted in the node's own capacity."""
    cluster.add_node(name, {}, [TAINT], ROOM)
    devices = [
        {
            "name": card,
            "attributes": {
                "type": {"string": kind},
                "productName": {"string": product},
                "uuid": {"string": f"GPU-{name}-{card}"},
                "cudaComputeCapability": {"version": "8.9.0"},
            },
            "capacity": {"memory": {"value": "23034Mi"}},
        }
        for card, product in cards.items()
    ]
    spec = {
        "driver": GPU_DEVICE_CLASS,
        "nodeName": name,
        "pool": {"name": name, "generation": 1, "resourceSliceCount": 1},
        "devices": devices,
    }
    metadata = {"name": f"{name}-cards"}
    cluster.create({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": metadata, "spec": spec})


def claiming(cluster: Cluster, accelerator: str, resources: Resources = CARD) -> dict[str, Any]:
    """Make what claims of a card are written from, as it is rendered; return the pod of the model's stable slot."""
    name = f"on-{accelerator}"
    graph = declare_one(ModelServer, instance=name, server_resources=resources, accelerator=accelerator, claims=True)
    pod = pods.template_of(graph.object("Deployment", f"{name}-stable"))
    (rendered,) = graph.of_kind("ResourceClaimTemplate")
    (claim,) = pod["spec"]["resourceClaims"]
    metadata = {"name": claim["resourceClaimTemplateName"], "namespace": NAMESPACE}
    cluster.create({**rendered.manifest, "metadata": metadata})
    priority = model_server()["spec"]["priorityClassName"]
    return {**pod, "spec": {**pod["spec"], "priorityClassName": priority}}


def cards_of(cluster: Cluster, pod: str) -> set[tuple[str, str]]:
    """Return node and name of each card that a pod has, by the claim that Kubernetes wrote for it."""
    (claim,) = cluster.pod(pod)["status"]["resourceClaimStatuses"]
    status = cluster.plane.get(f"{CLAIMS}/{claim['resourceClaimName']}")["status"]
    assert [user["name"] for user in status["reservedFor"]] == [pod]
    results = status["allocation"]["devices"]["results"]
    assert {item["driver"] for item in results} == {GPU_DEVICE_CLASS}
    return {(item["pool"], item["device"]) for item in results}


def claims(cluster: Cluster) -> list[dict[str, Any]]:
    return cluster.plane.get(CLAIMS)["items"]


def complaint_about(cluster: Cluster, pod: str) -> str:
    """Return why no claim was written for a pod, as the cluster tells people."""

    def event() -> str | None:
        events = cluster.plane.get(f"/api/v1/namespaces/{NAMESPACE}/events")["items"]
        return next(
            (it["message"] for it in events if it["involvedObject"]["name"] == pod and "Claim" in it["reason"]), None
        )

    return awaited(event, lambda: cluster.pod(pod)["status"])


def test_pod_gets_a_card_of_its_kind_when_there_is_one(cluster: Cluster) -> None:
    on_l4 = claiming(cluster, "l4")
    add_node_with_cards(cluster, "other-card", {"gpu-0": "NVIDIA L40S"})
    add_node_with_cards(cluster, "slice-of-one", {"gpu-0-mig-1": "NVIDIA L4"}, kind="mig")
    cluster.add_pod("l4-first", on_l4)
    assert f"3 {NO_CARD}" in cluster.waits_for("l4-first"), "neither without a card, nor with another, nor with a slice"

    add_node_with_cards(cluster, "one-l4", {"gpu-0": "NVIDIA L4"})
    assert cluster.node_of("l4-first") == "one-l4"
    assert cards_of(cluster, "l4-first") == {("one-l4", "gpu-0")}

    # What claims nothing goes to no node with cards, as before.
    cluster.add_pod("large", model_server(server_resources=LARGE))
    assert "3 node(s) had untolerated taint(s)" in cluster.waits_for("large")


def test_pod_waits_for_the_card_of_another_until_that_is_gone(cluster: Cluster) -> None:
    on_a10g = claiming(cluster, "a10g")
    add_node_with_cards(cluster, "two-a10g", {"gpu-0": "NVIDIA A10G", "gpu-1": "NVIDIA A10G"})
    cluster.add_pods(["a10g-first", "a10g-second"], on_a10g)
    assert {cluster.node_of(name) for name in ("a10g-first", "a10g-second")} == {"two-a10g"}
    taken = cards_of(cluster, "a10g-first")
    assert taken | cards_of(cluster, "a10g-second") == {("two-a10g", "gpu-0"), ("two-a10g", "gpu-1")}

    cluster.add_pod("a10g-third", on_a10g)
    assert NO_CARD in cluster.waits_for("a10g-third")
    cluster.end_pod("a10g-first")
    assert cluster.node_of("a10g-third") == "two-a10g"
    assert cards_of(cluster, "a10g-third") == taken


def test_all_cards_are_on_one_node_when_a_pod_claims_several(cluster: Cluster) -> None:
    on_two = claiming(cluster, "t4", TWO_CARDS)
    for name in ("single-t4", "another-single-t4"):
        add_node_with_cards(cluster, name, {"gpu-0": "Tesla T4"})
    cluster.add_pod("t4-both", on_two)
    assert NO_CARD in cluster.waits_for("t4-both")
    add_node_with_cards(cluster, "pair-of-t4", {"gpu-0": "Tesla T4", "gpu-1": "Tesla T4"})
    assert cluster.node_of("t4-both") == "pair-of-t4"
    assert cards_of(cluster, "t4-both") == {("pair-of-t4", "gpu-0"), ("pair-of-t4", "gpu-1")}


def test_no_claim_is_written_beyond_the_quota_when_more_pods_come(cluster: Cluster) -> None:
    on_h100 = claiming(cluster, "h100")
    add_node_with_cards(cluster, "h100s", {f"gpu-{index}": "NVIDIA H100 80GB HBM3" for index in range(4)})
    claimed = sum(it["exactly"]["count"] for claim in claims(cluster) for it in claim["spec"]["devices"]["requests"])
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "gpus", "namespace": NAMESPACE}}
    cluster.create({**quota, "spec": {"hard": device_amounts(claimed + 1)}})
    cluster.await_count_of("gpus")

    cluster.add_pod("h100-first", on_h100)
    assert cluster.node_of("h100-first") == "h100s"
    cluster.add_pod("h100-second", on_h100)
    assert "exceeded quota: gpus" in complaint_about(cluster, "h100-second")
    second = cluster.pod("h100-second")
    assert "nodeName" not in second["spec"], "although the node has cards left"
    assert "resourceClaimStatuses" not in second["status"]
    # Nor are cards to be had in another way, in which they would be counted elsewhere.
    other = {"deviceClassName": "vfio.gpu.nvidia.com"}
    claim = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim"}
    metadata = {"name": "for-a-machine", "namespace": NAMESPACE}
    with pytest.raises(AssertionError, match="exceeded quota: gpus, requested: vfio"):
        cluster.create(
            {**claim, "metadata": metadata, "spec": {"devices": {"requests": [{"name": "gpu", "exactly": other}]}}}
        )
    with pytest.raises(AssertionError, match=r"exceeded quota: gpus, requested: requests\.nvidia\.com/gpu=1"):
        cluster.add_pod("h100-by-number", model_server(server_resources=CARD))


PROGRAM = """
from components._workload import Resources
from components.model_server import ModelServer
from tests.support.catalogue import EXAMPLES

resources = Resources(cpu_millis=500, memory_mib=512, memory_limit_mib=1024, gpus=1)
changes = dict(namespace="changing", server_resources=resources, accelerator="{accelerator}", claims=True)
EXAMPLES[ModelServer].make("some-model", opts=opts(), **changes)
"""


def test_pods_claim_by_another_template_when_the_card_changes(cluster: Cluster, tmp_path: Path) -> None:
    """Kubernetes refuses to change one; the engine makes a new one, which the pods then name, and removes the old."""
    project = Project(
        tmp_path, ensure(["etcd", "kubernetes", "pulumi", "pulumi-language-python"]), cluster.plane.kubeconfig
    )
    project.create()
    project.environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), project.environment["PYTHONPATH"]])
    cluster.plane.mark("claims")
    cluster.plane.kubectl("create", "namespace", "changing")

    def templates() -> dict[str, str]:
        items = cluster.plane.get(f"{DEVICES}/namespaces/changing/resourceclaimtemplates")["items"]
        return {it["metadata"]["name"]: str(it["spec"]["spec"]["devices"]["requests"][0]["exactly"]) for it in items}

    def wanted() -> set[str]:
        items = cluster.plane.get("/apis/apps/v1/namespaces/changing/deployments")["items"]
        return {it["spec"]["template"]["spec"]["resourceClaims"][0]["resourceClaimTemplateName"] for it in items}

    project.program(PROGRAM.format(accelerator="l4"))
    project.up()
    ((before, _),) = templates().items()
    project.program(PROGRAM.format(accelerator="a100"))
    assert "+-1 replaced" in project.up()
    ((after, request),) = templates().items()
    assert after != before
    assert "a100" in request
    assert wanted() == {after}
