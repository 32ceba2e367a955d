"""A real API server takes what scales parts and shares GPUs, and leaves to each its own fields.

What this does not prove: that KEDA, the GPU operator or Karpenter act on any of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components._scaling import Scaler
from components.autoscaler import Autoscaler
from components.gpu_operator import GpuOperator
from components.node_pool import Gpus, GpuSlices, NodePool
from tests.local.provider.control_plane import ControlPlane
from tests.support.catalogue import declare_one
from tests.support.stacks import CLOUD_STACKS, STACKS

NAMESPACE = "scaling"
SHARED = Gpus(accelerator="l4", per_node=1, limit=4, time_slices=4)
SLICED = Gpus(accelerator="a100", per_node=8, limit=8, slices=GpuSlices(model="a100.40gb", profile="1g.5gb", count=7))


@pytest.fixture(scope="module")
def server(api_server: ControlPlane) -> ControlPlane:
    api_server.kubectl("create", "namespace", NAMESPACE)
    return api_server


def write(folder: Path, manifest: dict[str, Any]) -> str:
    file = folder / "object.json"
    file.write_text(json.dumps(manifest))
    return str(file)


def judge(server: ControlPlane, folder: Path, manifest: dict[str, Any]) -> str:
    """Let the server judge an object without keeping it."""
    if "namespace" in manifest["metadata"]:
        manifest["metadata"]["namespace"] = NAMESPACE
    return server.kubectl("create", "--dry-run=server", "--validate=strict", "-f", write(folder, manifest))


@pytest.mark.parametrize("stack", CLOUD_STACKS)
def test_every_autoscaler_is_taken_when_the_server_checks_it(server: ControlPlane, stack: str, tmp_path: Path) -> None:
    objects = STACKS[stack].run().of_kind("ScaledObject")
    assert len(objects) == 6
    for item in objects:
        assert "created (server dry run)" in judge(server, tmp_path, item.manifest)


def test_kubernetes_own_autoscaler_is_taken_when_there_is_no_keda(server: ControlPlane, tmp_path: Path) -> None:
    scaler = Scaler(name="example", minimum=2, maximum=9, cpu_percent=70)
    (item,) = declare_one(Autoscaler, scaler=scaler, engine="hpa").kubernetes_objects()
    assert "created (server dry run)" in judge(server, tmp_path, item.manifest)


def test_autoscaler_is_refused_when_its_bounds_cross(server: ControlPlane, tmp_path: Path) -> None:
    scaler = Scaler(name="example", minimum=9, maximum=2, cpu_percent=70)
    (item,) = declare_one(Autoscaler, scaler=scaler).kubernetes_objects()
    with pytest.raises(AssertionError, match="less than or equal to maxReplicaCount"):
        judge(server, tmp_path, item.manifest)


@pytest.mark.parametrize("gpus", [SHARED, SLICED], ids=["shared", "sliced"])
def test_pool_is_taken_when_its_cards_are_divided(server: ControlPlane, gpus: Gpus, tmp_path: Path) -> None:
    objects = declare_one(NodePool, gpus=gpus).kubernetes_objects()
    assert {item.kind for item in objects} == {"EC2NodeClass", "NodePool", "NodeOverlay"}
    for item in objects:
        assert "created (server dry run)" in judge(server, tmp_path, item.manifest)


def test_scaled_pods_stay_when_pulumi_applies_the_deployment_again(server: ControlPlane, tmp_path: Path) -> None:
    deployment = STACKS["staging"].run().object("Deployment", "api").manifest
    deployment["metadata"]["namespace"] = NAMESPACE

    def apply() -> None:
        server.kubectl("apply", "--server-side", "--field-manager=pulumi", "-f", write(tmp_path, deployment))

    def pods() -> int:
        return int(server.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/api")["spec"]["replicas"])

    apply()
    assert pods() == 1, "what Kubernetes writes where nobody else does"
    server.kubectl("-n", NAMESPACE, "scale", "deployment/api", "--replicas=3")
    deployment["metadata"]["annotations"]["mlplatform.dev/changed"] = "yes"
    apply()
    assert pods() == 3


@pytest.mark.parametrize(("held", "left"), [(False, 1), (True, 3)], ids=["by nobody else", "by another owner"])
def test_as_many_pods_are_left_as_another_owner_holds_when_pulumi_gives_up_replicas(
    server: ControlPlane, held: bool, left: int, tmp_path: Path
) -> None:
    deployment = STACKS["staging"].run().object("Deployment", "tracking-server").manifest
    name = f"tracking-server-{left}"
    deployment["metadata"] = {"name": name, "namespace": NAMESPACE}
    fixed = {**deployment, "spec": {**deployment["spec"], "replicas": 3}}

    def apply(manifest: dict[str, Any], owner: str) -> None:
        server.kubectl("apply", "--server-side", f"--field-manager={owner}", "-f", write(tmp_path, manifest))

    apply(fixed, "pulumi")
    if held:
        apply({**deployment, "spec": {"replicas": 3}}, "handover")
    apply(deployment, "pulumi")
    found = server.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}")
    assert found["spec"]["replicas"] == left, "docs/scaling.md says so"


def test_only_the_platforms_fields_change_when_the_charts_policy_is_set(server: ControlPlane, tmp_path: Path) -> None:
    (item,) = [item for item in declare_one(GpuOperator).kubernetes_objects() if item.kind.startswith("ClusterPolicy")]
    image = {"repository": "nvcr.io/nvidia", "image": "k8s-device-plugin", "version": "v0.20.0"}
    parts = ("daemonsets", "dcgm", "dcgmExporter", "driver", "gfd", "nodeStatusExporter", "operator", "toolkit")
    charts = {
        "apiVersion": "nvidia.com/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "cluster-policy", "labels": {"app.kubernetes.io/managed-by": "Helm"}},
        "spec": {
            **{part: {} for part in parts},
            "driver": {"enabled": True},
            "devicePlugin": {"enabled": True, **image},
        },
    }
    server.kubectl("create", "--field-manager=helm", "--validate=strict", "-f", write(tmp_path, charts))
    manifest = item.manifest
    manifest["spec"]["devicePlugin"]["config"]["name"] = "gpu-sharing"
    options = ("--server-side", "--force-conflicts", "--field-manager=pulumi", "--validate=strict")
    server.kubectl("apply", *options, "-f", write(tmp_path, manifest))
    found = server.get("/apis/nvidia.com/v1/clusterpolicies/cluster-policy")
    assert found["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "Helm"}
    spec = found["spec"]
    assert spec["devicePlugin"] == {"enabled": True, **image, "config": {"name": "gpu-sharing", "default": "sharing"}}
    assert spec["driver"]["enabled"] is False
    assert spec["dcgmExporter"]["enabled"] is True
    assert spec["mig"]["strategy"] == "single"
