"""Kubernetes' own scheduler puts pods that want a GPU on the nodes of their pool, and no others.

Nodes are objects made from the template of the stack's own NodePool, with what a device plugin would announce; no
kubelet stands behind them. That Karpenter makes such a node, and removes it when it idles, test_karpenter.py shows.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from components._workload import Resources
from components.node_pool import Gpus, NodePool
from tests.support.catalogue import declare_one
from tests.support.paper_cluster import NAMESPACE, Cluster, model_server, scheduling_cluster
from tests.support.stacks import STACKS

pytestmark = pytest.mark.slow

GPU = Resources(cpu_millis=500, memory_mib=512, memory_limit_mib=1024, gpus=1)
TURN = Resources(cpu_millis=500, memory_mib=512, memory_limit_mib=1024, gpus=1, gpu_resource="nvidia.com/gpu.shared")
LARGE = Resources(cpu_millis=6000, memory_mib=512, memory_limit_mib=1024)
"""Fits on the GPU node only, which has the room."""
CPU_NODE = {"cpu": "4", "memory": "16Gi", "pods": "50"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster]:
    with scheduling_cluster(tmp_path_factory.mktemp("scheduling")) as cluster:
        yield cluster


def test_pods_find_their_nodes_and_only_these_when_gpus_come(cluster: Cluster) -> None:
    pool = STACKS["prod"].run().object("NodePool", "gpu-l4").manifest
    on_gpu = model_server(server_resources=GPU, accelerator="l4")
    cluster.add_node("cpu-1", {"mlplatform.dev/pool": "cpu"}, [], CPU_NODE)

    cluster.add_pod("gpu-first", on_gpu)
    assert "didn't match Pod's node affinity/selector" in cluster.waits_for("gpu-first")
    cluster.add_pod("cpu-first", model_server())
    assert cluster.node_of("cpu-first") == "cpu-1"

    cluster.add_gpu_node("gpu-1", pool, {"nvidia.com/gpu": "1"})
    assert cluster.node_of("gpu-first") == "gpu-1"

    # The pool's only card is taken; another card does not do; and no pod without a GPU goes where there is room.
    cluster.add_pod("gpu-second", on_gpu)
    assert "Insufficient nvidia.com/gpu" in cluster.waits_for("gpu-second")
    cluster.add_pod("gpu-other-card", model_server(server_resources=GPU, accelerator="a10g"))
    assert "didn't match Pod's node affinity/selector" in cluster.waits_for("gpu-other-card")
    cluster.add_pod("cpu-large", model_server(server_resources=LARGE))
    assert "1 Insufficient cpu, 1 node(s) had untolerated taint(s)" in cluster.waits_for("cpu-large")


def test_as_many_pods_as_turns_share_a_card_when_it_is_divided_by_time(cluster: Cluster) -> None:
    graph = declare_one(NodePool, gpus=Gpus(accelerator="t4", per_node=1, limit=4, time_slices=2))
    (pool,), (overlay,) = graph.of_kind("NodePool"), graph.of_kind("NodeOverlay")
    announced = overlay.manifest["spec"]["capacity"]
    assert announced == {"nvidia.com/gpu": "0", "nvidia.com/gpu.shared": "2"}
    cluster.add_gpu_node("shared-1", pool.manifest, announced)
    sharing = model_server(server_resources=TURN, accelerator="t4")
    for name in ("turn-1", "turn-2"):
        cluster.add_pod(name, sharing)
        assert cluster.node_of(name) == "shared-1"
    cluster.add_pod("turn-3", sharing)
    assert "Insufficient nvidia.com/gpu.shared" in cluster.waits_for("turn-3")
    cluster.add_pod("whole-card", model_server(server_resources=GPU, accelerator="t4"))
    assert "Insufficient nvidia.com/gpu" in cluster.waits_for("whole-card")


def test_quota_is_kept_when_pods_ask_for_more_gpus(cluster: Cluster) -> None:
    limits = {"requests.nvidia.com/gpu": "5", "requests.nvidia.com/gpu.shared": "3"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "gpus", "namespace": NAMESPACE}}
    cluster.create({**quota, "spec": {"hard": limits}})
    cluster.await_count_of("gpus")
    more = model_server(server_resources=GPU, accelerator="l4")
    # Four pods of the tests before ask for a card; at the fifth, a sixth is refused.
    cluster.add_pod("gpu-fifth", more)
    with pytest.raises(AssertionError, match=r"exceeded quota: gpus, requested: requests\.nvidia\.com/gpu=1"):
        cluster.add_pod("gpu-sixth", more)
