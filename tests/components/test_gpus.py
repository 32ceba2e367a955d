"""How cards are shared: what nodes, Karpenter and the operator are told. No card was there when this was tested."""

from __future__ import annotations

import tomllib
from typing import Any

import yaml

from components.gpu_operator import GpuOperator
from components.monitoring import Monitoring
from components.node_pool import Gpus, GpuSlices, NodePool
from components.node_provisioner import NodeProvisioner
from components.platform import MlPlatform
from components.platform_gpus import measured_cards
from components.platform_scaling import scalers
from tests.components.test_settings_gpu import A100, ONE, OPERATOR, SCALED, claims, read
from tests.support import schemas
from tests.support.catalogue import declare_one
from tests.support.recording_monitor import Graph, reveal

SHARED = Gpus(accelerator="l4", per_node=2, limit=4, time_slices=3)
SLICED = Gpus(accelerator="a100", per_node=8, limit=8, slices=GpuSlices(model="a100.40gb", profile="1g.5gb", count=7))


def plugin_settings(gpus: Gpus) -> Any:
    (node_class,) = declare_one(NodePool, gpus=gpus).of_kind("EC2NodeClass")
    return tomllib.loads(node_class.manifest["spec"]["userData"])["settings"]["kubelet-device-plugins"]["nvidia"]


def limits_of(gpus: Gpus) -> dict[str, str]:
    (pool,) = declare_one(NodePool, gpus=gpus).of_kind("NodePool")
    return pool.manifest["spec"]["limits"]


def test_nodes_are_told_nothing_when_cards_stay_whole() -> None:
    graph = declare_one(NodePool)
    (node_class,) = graph.of_kind("EC2NodeClass")
    assert "userData" not in node_class.manifest["spec"]
    assert not graph.of_kind("NodeOverlay")


def test_turns_have_a_name_of_their_own_when_a_card_is_shared() -> None:
    assert plugin_settings(SHARED) == {
        "device-sharing-strategy": "time-slicing",
        "time-slicing": {"replicas": 3, "rename-by-default": True, "fail-requests-greater-than-one": True},
    }
    assert limits_of(SHARED) == {"nvidia.com/gpu.shared": "12"}, "4 cards of 3 turns"


def test_karpenter_knows_of_turns_before_there_is_a_node_when_a_card_is_shared() -> None:
    (overlay,) = declare_one(NodePool, instance="gpu-l4", gpus=SHARED).of_kind("NodeOverlay")
    assert overlay.manifest["spec"] == {
        "requirements": [{"key": "karpenter.sh/nodepool", "operator": "In", "values": ["gpu-l4"]}],
        "capacity": {"nvidia.com/gpu": "0", "nvidia.com/gpu.shared": "6"},
    }
    schemas.check_custom(overlay.manifest)
    for overlays, expected in ((True, {"nodeOverlay": True}), (False, None)):
        graph = declare_one(NodeProvisioner, node_overlays=overlays)
        (release,) = [item for item in graph.of_type("kubernetes:helm.sh/v3:Release") if item.name == "example"]
        assert reveal(dict(release.inputs))["values"]["settings"].get("featureGates") == expected


def test_every_slice_counts_when_cards_are_cut() -> None:
    assert plugin_settings(SLICED) == {
        "device-partitioning-strategy": "mig",
        "mig": {"profile": {"a100.40gb": "1g.5gb"}},
    }
    assert limits_of(SLICED) == {"nvidia.com/gpu": "56"}, "8 cards of 7 slices"
    (overlay,) = declare_one(NodePool, gpus=SLICED).of_kind("NodeOverlay")
    assert overlay.manifest["spec"]["capacity"] == {"nvidia.com/gpu": "56"}, "one node has all of them"


def policy(graph: Graph) -> dict[str, Any]:
    (item,) = [item for item in graph.kubernetes_objects() if item.kind.startswith("ClusterPolicy")]
    assert item.type == "kubernetes:nvidia.com/v1:ClusterPolicyPatch"
    return item.manifest["spec"]


def test_operator_shares_cards_when_its_device_plugin_runs() -> None:
    graph = declare_one(GpuOperator)
    (config,) = graph.of_kind("ConfigMap")
    content = yaml.safe_load(config.manifest["data"]["sharing"])
    assert content["sharing"]["timeSlicing"] == {
        "renameByDefault": True,
        "failRequestsGreaterThanOne": True,
        "resources": [{"name": "nvidia.com/gpu", "replicas": 4}],
    }
    plugin = policy(graph)["devicePlugin"]
    assert plugin["enabled"] is True
    assert plugin["config"]["default"] == "sharing"


def test_no_second_device_plugin_runs_when_the_nodes_bring_one() -> None:
    spec = policy(declare_one(GpuOperator, device_plugin=False))
    assert spec["devicePlugin"] == {"enabled": False}
    assert spec["migManager"] == {"enabled": False}
    assert spec["driver"] == spec["toolkit"] == {"enabled": False}
    assert spec["dcgmExporter"] == {"enabled": True}


def test_cards_are_cut_by_the_operator_when_others_make_the_nodes() -> None:
    spec = policy(declare_one(GpuOperator, time_slices=1, mig=True))
    assert spec["migManager"] == {"enabled": True}
    assert spec["mig"] == {"strategy": "single"}


def test_exporter_is_read_when_the_operator_is_there() -> None:
    assert measured_cards(read()) == ()
    graph = declare_one(Monitoring, elsewhere=measured_cards(read(gpu=OPERATOR)))
    service = graph.object("Service", "example-finds-gpu").manifest
    assert service["metadata"]["namespace"] == "gpu-operator"
    assert service["spec"]["selector"] == {"app": "nvidia-dcgm-exporter"}
    assert graph.object("NetworkPolicy", "example-scrapes-gpu-operator")


def test_slots_are_scaled_by_their_engines_use_when_they_have_slices() -> None:
    whole = scalers(read(autoscaling=SCALED, modelServer=ONE, gpu=OPERATOR))[0].measures
    (sliced,) = scalers(read([A100], autoscaling=SCALED, modelServer=ONE, gpu=OPERATOR))[0].measures
    assert [(measure.name, measure.metric_type) for measure in whole] == [("gpu", "Value")]
    assert "DCGM_FI_DEV_GPU_UTIL" in whole[0].query
    assert "GR_ENGINE_ACTIVE" in sliced.query


def test_platform_has_its_quota_and_policy_when_both_are_set() -> None:
    graph = declare_one(MlPlatform, settings=read(modelServer=ONE, gpu={**OPERATOR, "quota": 8}))
    (quota,) = graph.of_kind("ResourceQuota")
    assert quota.manifest["spec"]["hard"] == {"requests.nvidia.com/gpu": "8", "requests.nvidia.com/gpu.shared": "8"}
    schemas.check_kubernetes(quota.manifest, "1.35")
    assert policy(graph)["devicePlugin"] == {"enabled": True}


def test_claims_of_devices_are_counted_and_nothing_else_is_had_when_cards_are_claimed() -> None:
    team = {"name": "vision", "groups": ["ml-vision"], "costCenter": "42", "quota": {"gpus": 3}}
    settings = read(**claims(quota=8), modelServer={**ONE, "accelerator": "l4"}, teams=[team])
    graph = declare_one(MlPlatform, settings=settings)
    hard = {item.object_name: item.manifest["spec"]["hard"] for item in graph.of_kind("ResourceQuota")}
    expected = {
        "gpu.nvidia.com.deviceclass.resource.k8s.io/devices": "8",
        "mig.nvidia.com.deviceclass.resource.k8s.io/devices": "0",
        "vfio.gpu.nvidia.com.deviceclass.resource.k8s.io/devices": "0",
        "requests.nvidia.com/gpu": "0",
    }
    assert hard["gpus"] == expected
    assert {**expected, "gpu.nvidia.com.deviceclass.resource.k8s.io/devices": "3"}.items() <= hard["team"].items()
    (rights,) = [item.manifest["rules"] for item in graph.of_kind("Role") if item.name == "team-vision-role"]
    claimable = {
        resource
        for rule in rules_of(rights, "resource.k8s.io")
        for resource in rule["resources"]
        if "create" in rule["verbs"]
    }
    assert claimable == {"resourceclaims", "resourceclaimtemplates"}
    assert len(graph.of_kind("ResourceClaimTemplate")) == len(settings.models)
    assert not [item for item in graph.kubernetes_objects() if item.kind.startswith("ClusterPolicy")]


def rules_of(rules: list[dict[str, Any]], group: str) -> list[dict[str, Any]]:
    return [rule for rule in rules if group in rule["apiGroups"]]
