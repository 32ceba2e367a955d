"""The cluster of a stack on AWS and its nodes: who may ask, what is encrypted, which machines come and go."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support import pods
from tests.support.aws_commands import calls_of_aws, shell_blocks, unknown_options
from tests.support.cloud_resources import inputs, named
from tests.support.recording_monitor import Graph, reveal


def test_kubernetes_api_answers_inside_only_and_encrypts_secrets_when_deployed(cloud: Graph) -> None:
    cluster = inputs(cloud, "aws:eks/cluster:Cluster", "cluster")
    assert cluster["vpcConfig"]["endpointPrivateAccess"] is True
    assert cluster["vpcConfig"]["endpointPublicAccess"] is False
    assert cluster["encryptionConfig"]["resources"] == ["secrets"]
    assert cluster["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": False,
    }
    assert set(cluster["enabledClusterLogTypes"]) >= {"api", "audit", "authenticator"}
    assert float(cluster["version"]) >= 1.35
    assert cluster["deletionProtection"] is True


def test_pods_cannot_ask_for_what_their_node_may_do_when_deployed(cloud: Graph) -> None:
    (template,) = cloud.of_type("aws:ec2/launchTemplate:LaunchTemplate")
    assert template.inputs["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }
    for item in cloud.of_kind("EC2NodeClass"):
        options = item.manifest["spec"]["metadataOptions"]
        assert (options["httpTokens"], options["httpPutResponseHopLimit"]) == ("required", 1)


def test_every_addon_is_raised_with_the_cluster_when_people_follow_the_page(cloud: Graph) -> None:
    """The program names no versions, so nothing else raises them."""
    (commands,) = shell_blocks("operations.md", "Raise the version of Kubernetes in a cloud")
    (raised,) = re.findall(r"for ADDON in (.*); do\n", commands)
    addons = [item.inputs for item in cloud.of_type("aws:eks/addon:Addon")]
    assert sorted(raised.split()) == sorted(item["addonName"] for item in addons)
    assert not any("addonVersion" in item for item in addons)
    calls = list(calls_of_aws(commands))
    assert len(calls) == 4
    assert {" ".join(call): unknown for call in calls if (unknown := unknown_options(call))} == {}


def test_network_policies_act_when_deployed(cloud: Graph) -> None:
    addon = inputs(cloud, "aws:eks/addon:Addon", "cluster-vpc-cni")
    assert json.loads(addon["configurationValues"])["enableNetworkPolicy"] == "true"


def test_nodes_come_after_their_network_and_before_what_runs_on_them_when_deployed(cloud: Graph) -> None:
    nodes = named(cloud, "aws:eks/nodeGroup:NodeGroup", "cluster-system")
    for addon in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent"):
        assert named(cloud, "aws:eks/addon:Addon", f"cluster-{addon}").urn in nodes.depends_on
    assert nodes.urn in named(cloud, "aws:eks/addon:Addon", "cluster-coredns").depends_on
    for component in ("mlplatform:index:ClusterServices", "mlplatform:index:MlPlatform"):
        (found,) = cloud.of_type(component)
        assert nodes.urn in found.depends_on


def test_new_system_nodes_come_before_the_old_go_when_another_kind_is_set(cloud: Graph) -> None:
    """Pulumi makes the new one first only where the program leaves the name to it."""
    nodes = inputs(cloud, "aws:eks/nodeGroup:NodeGroup", "cluster-system")
    assert {"nodeGroupName", "nodeGroupNamePrefix"}.isdisjoint(nodes)
    scaling = nodes["scalingConfig"]
    assert scaling["minSize"] == scaling["maxSize"] == scaling["desiredSize"], "nothing scales this group"


def test_kubeconfig_holds_no_secret_when_written(cloud: Graph) -> None:
    (provider,) = cloud.of_type("pulumi:providers:kubernetes")
    user = json.loads(reveal(dict(provider.inputs))["kubeconfig"])["users"][0]["user"]
    assert set(user) == {"exec"}
    assert user["exec"]["command"] == "aws"


def test_log_groups_are_encrypted_and_end_when_deployed(staging: Graph, prod: Graph) -> None:
    for graph, days, services in ((staging, 30, {"vpc", "eks"}), (prod, 365, {"vpc", "eks", "rds"})):
        groups = graph.of_type("aws:cloudwatch/logGroup:LogGroup")
        assert {item.inputs["name"].split("/")[2] for item in groups} == services
        assert all(item.inputs["retentionInDays"] == days and item.inputs["kmsKeyId"] for item in groups)


# Nodes --------------------------------------------------------------------------------------------------------------


def values(spec: dict[str, Any], key: str) -> list[str]:
    (found,) = [item["values"] for item in spec["template"]["spec"]["requirements"] if item["key"].endswith(key)]
    return found


def test_gpu_nodes_take_only_pods_that_ask_for_gpus_when_deployed(cloud: Graph) -> None:
    pools = [item.manifest["spec"] for item in cloud.of_kind("NodePool") if item.name.startswith("gpu-")]
    assert pools
    for spec in pools:
        taints = spec["template"]["spec"]["taints"]
        assert taints == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]
        assert spec["template"]["metadata"]["labels"]["accelerator"] in {"t4", "a10g", "l4"}
        assert int(spec["limits"]["nvidia.com/gpu"]) > 0


def test_idle_gpu_nodes_go_within_a_quarter_of_an_hour_when_deployed(cloud: Graph) -> None:
    for item in cloud.of_kind("NodePool"):
        disruption = item.manifest["spec"]["disruption"]
        assert int(disruption["consolidateAfter"].removesuffix("s")) <= 900
        if item.name.startswith("gpu-"):
            assert disruption["consolidationPolicy"] == "WhenEmpty"


def test_gpus_fall_back_from_spot_and_stable_slots_never_depend_on_it_when_deployed(cloud: Graph) -> None:
    for item in cloud.of_kind("NodePool"):
        capacity = values(item.manifest["spec"], "capacity-type")
        assert "on-demand" in capacity
        assert ("spot" in capacity) or not item.name.startswith("gpu-")
    (deployment,) = [item for item in cloud.of_kind("Deployment") if item.name == "content-quality-model-stable"]
    assert "nodeSelector" not in pods.template_of(deployment)["spec"]


def test_nodes_are_replaced_in_time_and_bounded_when_deployed(cloud: Graph) -> None:
    for item in cloud.of_kind("NodePool"):
        spec = item.manifest["spec"]
        assert int(spec["template"]["spec"]["expireAfter"].removesuffix("h")) <= 720
        assert spec["limits"]


def test_nodes_and_disks_of_nodes_are_encrypted_when_deployed(cloud: Graph) -> None:
    (template,) = cloud.of_type("aws:ec2/launchTemplate:LaunchTemplate")
    assert all(disk["ebs"]["encrypted"] == "true" for disk in template.inputs["blockDeviceMappings"])
    for item in cloud.of_kind("EC2NodeClass"):
        assert all(disk["ebs"]["encrypted"] is True for disk in item.manifest["spec"]["blockDeviceMappings"])


def test_karpenter_hears_of_machines_that_are_about_to_go_when_deployed(cloud: Graph) -> None:
    patterns = [json.loads(item.inputs["eventPattern"]) for item in cloud.of_type("aws:cloudwatch/eventRule:EventRule")]
    assert "EC2 Spot Instance Interruption Warning" in {pattern["detail-type"][0] for pattern in patterns}
    queue = inputs(cloud, "aws:sqs/queue:Queue", "karpenter-interruptions")["name"]
    release = inputs(cloud, "kubernetes:helm.sh/v3:Release", "karpenter")
    assert release["values"]["settings"]["interruptionQueue"] == queue
    assert release["values"]["nodeSelector"]["mlplatform.dev/pool"] == "system"


def test_pools_leave_before_karpenter_does_when_destroyed(cloud: Graph) -> None:
    release = named(cloud, "kubernetes:helm.sh/v3:Release", "karpenter")
    components = cloud.of_type("mlplatform:index:NodePool")
    assert len(components) == len(cloud.of_kind("NodePool"))
    assert all(release.urn in component.depends_on for component in components)


@pytest.mark.parametrize(
    ("actor", "rights"),
    [
        (("kubernetes:helm.sh/v3:Release", "karpenter"), "karpenter-policy"),
        (("aws:eks/addon:Addon", "cluster-vpc-cni"), "cluster-network-AmazonEKS_CNI_Policy"),
    ],
)
def test_rights_leave_after_who_needs_them_to_clear_up_when_destroyed(
    cloud: Graph, actor: tuple[str, str], rights: str
) -> None:
    """Without them machines, or the addresses of machines, would stay and keep the network from going."""
    (found,) = [
        item
        for token in ("aws:iam/rolePolicy:RolePolicy", "aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        for item in cloud.of_type(token)
        if item.name == rights
    ]
    assert found.urn in named(cloud, *actor).depends_on


def test_rights_of_the_driver_of_disks_leave_after_the_cluster_when_destroyed(cloud: Graph) -> None:
    (cluster,) = cloud.of_type("mlplatform:index:EksCluster")
    (rights,) = [
        item
        for item in cloud.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        if item.name == "roles-disks-AmazonEBSCSIDriverPolicy"
    ]
    assert rights.urn in cluster.depends_on
    assert named(cloud, "aws:eks/addon:Addon", "cluster-aws-ebs-csi-driver").parent == cluster.urn
