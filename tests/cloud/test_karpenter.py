"""Karpenter makes nodes for the platform's pods from the platform's pools, and removes them when they idle.

Karpenter is the core that its controller for AWS is built around, in the same version; scheduler and controllers are
Kubernetes' own; pools and pods are as they are rendered, but for the class of nodes and for times that are shortened.
Machines exist on paper (tests/support/karpenter.py). What this does not prove: whatever happens at AWS, such as how its
part of Karpenter picks an image or falls back when EC2 has no machine; a real device plugin; office hours in budgets.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from components._workload import Resources
from components.model_server import ModelServer
from components.node_pool import Gpus, GpuSlices, NodePool
from components.node_provisioner import NodeProvisioner
from tests.support.api_server import manifest_of
from tests.support.catalogue import declare_one
from tests.support.karpenter import PATIENCE_SECONDS, Karpenter, karpenter
from tests.support.paper_cluster import MODEL, NAMESPACE, awaited, model_server, scheduling_cluster
from tests.support.recording_monitor import Graph, reveal
from tests.support.stacks import CLOUD_STACKS, STACKS

pytestmark = pytest.mark.slow

IDLE = "1s"
"""Shortened: after this Karpenter still takes up to 10 s to look and waits 15 s for a second thought."""
MOST_IDLE_SECONDS = 900
"""That of GPU nodes, by what is asked of the platform."""
GPU = Resources(cpu_millis=500, memory_mib=512, memory_limit_mib=1024, gpus=1)
TURN = Resources(cpu_millis=500, memory_mib=512, memory_limit_mib=1024, gpus=1, gpu_resource="nvidia.com/gpu.shared")
MEDIUM = Resources(cpu_millis=2000, memory_mib=512, memory_limit_mib=1024)
"""One to a CPU node."""
LARGE = Resources(cpu_millis=6000, memory_mib=512, memory_limit_mib=1024)
"""More than a CPU node has."""
CARD = Gpus(accelerator="l4", per_node=1, limit=8)
TURNS = Gpus(accelerator="l40s", per_node=1, limit=2, time_slices=2)
SLICES = Gpus(accelerator="h100", per_node=1, limit=2, slices=GpuSlices(model="h100.80gb", profile="3g.40gb", count=2))


def seconds(duration: str) -> int:
    """Return a rendered time such as 300s."""
    found = re.fullmatch(r"(\d+)s", duration)
    assert found is not None, duration
    return int(found[1])


def ready_of(running: Karpenter, deployment: str) -> int:
    status: Any = running.cluster.plane.get(deployment)["status"]
    return int(status.get("readyReplicas", 0))


def divided(running: Karpenter, name: str, family: str, gpus: Gpus, announced: Mapping[str, str]) -> str:
    """Add a pool whose cards are divided, and what it tells Karpenter about them; return its name."""
    graph = declare_one(NodePool, instance=name, families=(family,), gpus=gpus)
    running.kubelets.announce(name, announced)
    # An overlay is calculated for the pools that there are: one that comes later has to wait until that is done again.
    running.add_pool(pool_of(graph, name))
    for overlay in graph.of_kind("NodeOverlay"):
        running.cluster.create(overlay.manifest)
        running.cluster.plane.kubectl("wait", "--for=condition=Ready", f"nodeoverlay/{name}", "--timeout=60s")
    return name


def pool_of(graph: Graph, name: str) -> dict[str, Any]:
    return graph.object("NodePool", name).manifest


def gates() -> dict[str, bool]:
    """Return Karpenter's experiments as the platform switches them on where cards are divided."""
    graph = declare_one(NodeProvisioner, node_overlays=True)
    (release,) = [item for item in graph.of_type("kubernetes:helm.sh/v3:Release") if item.name == "example"]
    found = reveal(dict(release.inputs))["values"]["settings"]["featureGates"]
    return {name[0].upper() + name[1:]: value for name, value in found.items()}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Karpenter]:
    folder = tmp_path_factory.mktemp("karpenter")
    with scheduling_cluster(folder) as cluster, karpenter(cluster, folder, gates()) as running:
        running.add_pool(pool_of(STACKS["staging"].run(), "cpu"), idle=IDLE)
        yield running


@pytest.mark.parametrize("stack", CLOUD_STACKS)
def test_gpu_nodes_idle_for_a_quarter_of_an_hour_at_most(stack: str) -> None:
    pools = [item.manifest["spec"] for item in STACKS[stack].run().of_kind("NodePool") if item.name != "cpu"]
    assert pools
    for pool in pools:
        assert pool["disruption"]["consolidationPolicy"] == "WhenEmpty"
        assert seconds(pool["disruption"]["consolidateAfter"]) <= MOST_IDLE_SECONDS


def test_cards_are_used_again_and_their_limit_is_kept_when_more_pods_ask(running: Karpenter) -> None:
    pool, cluster = pool_of(STACKS["staging"].run(), "gpu-l4"), running.cluster
    assert pool["spec"]["limits"] == {"nvidia.com/gpu": "2"}
    running.add_pool(pool)
    on_gpu = model_server(server_resources=GPU, accelerator="l4")
    nodes: dict[str, str] = {}
    for name in ("card-1", "card-2"):
        cluster.add_pod(name, on_gpu)
        nodes[name] = running.node_of(name)
    assert len(set(nodes.values())) == 2
    cluster.add_pod("card-3", on_gpu)
    assert "exceed limits for nodepool" in running.refusal_of("card-3")
    cluster.delete_pods(["card-1"])
    assert running.node_of("card-3") == nodes["card-1"]
    assert len(running.claims_of("gpu-l4")) == 2


def test_no_gpu_node_comes_when_a_pod_asks_for_none(running: Karpenter) -> None:
    graph = declare_one(NodePool, instance="untouched", families=("g6",), gpus=replace(CARD, accelerator="untouched"))
    running.add_pool(pool_of(graph, "untouched"))
    running.cluster.add_pod("cpu-small", model_server())
    assert running.node_of("cpu-small") in running.nodes_of("cpu")
    running.cluster.add_pod("cpu-large", model_server(server_resources=LARGE))
    assert "did not tolerate taint" in running.refusal_of("cpu-large")
    assert not running.claims_of("untouched")


@pytest.mark.parametrize(("card", "capacity"), [("t4", "spot"), ("a10g", "on-demand")])
def test_machine_is_spot_where_there_is_any_when_a_pool_takes_both(
    running: Karpenter, card: str, capacity: str
) -> None:
    """Of these only the t4's has offers on the spot market."""
    pool = f"gpu-{card}"
    running.add_pool(pool_of(STACKS["prod"].run(), pool))
    assert not running.claims_of(pool), "no node before a pod asks"
    running.cluster.add_pod(f"on-{card}", model_server(server_resources=GPU, accelerator=card))
    node = running.node_of(f"on-{card}")
    (claim,) = running.claims_of(pool)
    awaited(lambda: running.node_of_claim(pool, claim) == node, lambda: running.claims_of(pool), PATIENCE_SECONDS)
    assert running.nodes_of(pool)[node]["metadata"]["labels"]["karpenter.sh/capacity-type"] == capacity


def test_as_few_nodes_come_as_cards_have_turns_when_cards_are_shared(running: Karpenter) -> None:
    pool = divided(running, "turns", "g6e", TURNS, {"nvidia.com/gpu": "0", "nvidia.com/gpu.shared": "2"})
    sharing = model_server(server_resources=TURN, accelerator="l40s")
    for name in ("turn-1", "turn-2", "turn-3", "turn-4"):
        running.cluster.add_pod(name, sharing)
        running.node_of(name)
    assert len(running.claims_of(pool)) == 2
    running.cluster.add_pod("turn-5", sharing)
    assert "exceed limits for nodepool" in running.refusal_of("turn-5"), "two cards are all that the pool may have"


def test_no_node_comes_for_a_whole_card_when_there_are_only_turns(running: Karpenter) -> None:
    """It would never be ready for Karpenter, which waits for the card, and so would never go."""
    pool = divided(running, "only-turns", "g6e", replace(TURNS, accelerator="only-turns"), {})
    running.cluster.add_pod("whole-card", model_server(server_resources=GPU, accelerator="only-turns"))
    assert "no instance type" in running.refusal_of("whole-card")
    assert not running.claims_of(pool)


def test_as_few_nodes_come_as_cards_have_slices_when_cards_are_cut(running: Karpenter) -> None:
    pool = divided(running, "slices", "p5", SLICES, {"nvidia.com/gpu": "2"})
    on_slice = model_server(server_resources=GPU, accelerator="h100")
    # Karpenter, which sees one card, refuses the first of them until it has calculated with the overlay.
    running.cluster.add_pod("two-slices", model_server(server_resources=replace(GPU, gpus=2), accelerator="h100"))
    running.node_of("two-slices")
    assert len(running.claims_of(pool)) == 1
    running.cluster.add_pods(("slice-3", "slice-4"), on_slice)
    assert len({running.node_of(name) for name in ("slice-3", "slice-4")}) == 1
    running.cluster.add_pod("slice-5", on_slice)
    assert "exceed limits for nodepool" in running.refusal_of("slice-5"), "two cards are all that the pool may have"
    assert len(running.claims_of(pool)) == 2


def test_a_slot_s_pods_move_when_its_nodes_are_replaced_for_their_age(running: Karpenter) -> None:
    gpus = replace(CARD, accelerator="aging")
    running.add_pool(
        pool_of(declare_one(NodePool, instance="aging", families=("g6",), gpus=gpus), "aging"), expire="20s"
    )
    # Of a model of its own: the pods of other tests would count for its budget.
    graph = declare_one(ModelServer, instance=MODEL, model="aging", server_resources=GPU, accelerator="aging")
    slot = [
        graph.object("PodDisruptionBudget", f"{MODEL}-stable-budget"),
        graph.object("Deployment", f"{MODEL}-stable"),
    ]
    for item in slot:
        manifest = manifest_of(item)
        manifest["metadata"]["namespace"] = NAMESPACE
        running.cluster.create(manifest)
    deployment = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{MODEL}-stable"
    awaited(lambda: ready_of(running, deployment) == 2, lambda: running.cluster.plane.get(deployment), PATIENCE_SECONDS)
    first = set(running.claims_of("aging"))

    ready: list[int] = []

    def replaced() -> bool:
        ready.append(ready_of(running, deployment))
        return not first & set(running.claims_of("aging")) and ready[-1] == 2

    awaited(replaced, lambda: running.claims_of("aging"), PATIENCE_SECONDS)
    assert min(ready) >= 1, "the budget keeps one at work while the other moves"
    running.cluster.plane.kubectl("delete", f"--namespace={NAMESPACE}", "deployment", f"{MODEL}-stable")


def test_idle_nodes_go_and_no_others_when_pods_are_gone(running: Karpenter) -> None:
    """A GPU node that works stays, and CPU nodes go one by one, as their budget says."""
    graph = declare_one(NodePool, instance="idle", families=("g6",), gpus=replace(CARD, accelerator="idle"))
    running.add_pool(pool_of(graph, "idle"), idle=IDLE)
    on_gpu, on_cpu = ("gpu-1", "gpu-2", "gpu-3"), ("cpu-1", "cpu-2")
    running.cluster.add_pods(on_gpu, model_server(server_resources=GPU, accelerator="idle"))
    running.cluster.add_pods(on_cpu, model_server(server_resources=MEDIUM))
    nodes = {name: running.node_of(name) for name in (*on_gpu, *on_cpu)}
    assert len(set(nodes.values())) == 5
    running.cluster.delete_pods([*on_gpu[:2], *on_cpu])

    idle_gpu, idle_cpu = {nodes["gpu-1"], nodes["gpu-2"]}, {nodes["cpu-1"], nodes["cpu-2"]}
    one = awaited(lambda: running.going(idle_cpu), lambda: running.nodes_of("cpu"), PATIENCE_SECONDS)
    assert len(one) == 1
    awaited(lambda: len(running.claims_of("idle")) == 1, lambda: running.claims_of("idle"), PATIENCE_SECONDS)
    awaited(lambda: len(running.nodes_of("idle")) == 1, lambda: running.nodes_of("idle"), PATIENCE_SECONDS)
    assert running.going(idle_gpu) == idle_gpu
    assert list(running.nodes_of("idle")) == [nodes["gpu-3"]]
