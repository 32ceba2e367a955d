"""What the stacks on AWS promise, by name. What this does not prove: that AWS accepts any of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pytest

from policies._iam import AWS_MANAGED, allowed
from tests.support import pods
from tests.support.recording_monitor import Graph, Recorded, Unknown, reveal
from tests.support.stacks import ROOT, STACKS

ACCOUNT = "111122223333"
BROAD_RESOURCES = {
    "log-group:/aws/vpc/": "the streams of one log",
    "arn:aws:s3:::": "the objects of one bucket",
    "::image/": "images belong to AWS, and the pool's class names the one that is taken",
    "::snapshot/": "an image is made of snapshots of AWS",
    ":security-group/": "the pool's class names the group; the machine itself must carry the cluster's tag",
    ":subnet/": "the pool's class finds subnets by tag; the machine itself must carry the cluster's tag",
    ":capacity-reservation/": "what is reserved is known to AWS only",
    "::parameter/aws/service/": "public parameters of AWS",
    ":instance-profile/": "a list of names",
}
"""Where a resource of an unconditional statement ends in a wildcard, by what it contains, with why."""


DATABASE_KINDS = {
    "aws:cloudwatch/metricAlarm:MetricAlarm",
    "aws:rds/instance:Instance",
    "aws:rds/parameterGroup:ParameterGroup",
    "aws:rds/subnetGroup:SubnetGroup",
    "aws:sns/topic:Topic",
    "aws:sns/topicSubscription:TopicSubscription",
    "mlplatform:index:DatabaseAlarms",
    "mlplatform:index:ManagedMetadataDb",
    "mlplatform:index:MetadataDbRds",
}
"""What a stack has only where AWS runs its database."""
DATABASE_OBJECTS = defaultdict(
    set[str],
    {"StatefulSet": {"metadata-db"}, "Service": {"metadata-db"}, "NetworkPolicy": {"metadata-db-offer"}},
)
"""What a stack has only where its database is a pod, by kind."""


def named(graph: Graph, token: str, name: str) -> Recorded:
    (found,) = [item for item in graph.of_type(token) if item.name == name]
    return found


def inputs(graph: Graph, token: str, name: str) -> dict[str, Any]:
    return reveal(dict(named(graph, token, name).inputs))


# Same program, two sizes --------------------------------------------------------------------------------------------


def test_staging_has_the_structure_of_prod_when_deployed(staging: Graph, prod: Graph) -> None:
    def kinds(graph: Graph) -> set[str]:
        return {item.type for item in graph.resources.values()}

    # Only prod pays for a database server of AWS; staging keeps a pod, and so the cloud's two ways are both run.
    assert kinds(prod) - kinds(staging) == DATABASE_KINDS
    assert kinds(staging) - kinds(prod) == {"mlplatform:index:MetadataDb"}


def test_platform_is_the_same_in_the_cloud_but_for_its_stores_when_deployed(prod: Graph) -> None:
    def objects(graph: Graph) -> set[tuple[str, str]]:
        return {(item.kind, item.name) for item in graph.kubernetes_objects()}

    # No pipeline service: it needs a key of the store.
    dev = objects(replace(STACKS["dev"], added={"pipelineService": {"enabled": False}}).run())
    gone = {name for kind, name in dev - objects(prod) if name not in DATABASE_OBJECTS[kind]}
    assert all("object-store" in name or name.endswith("-minio") for name in gone)
    assert gone
    assert DATABASE_OBJECTS["StatefulSet"] < {name for _, name in dev - objects(prod)}


def test_prometheus_reads_no_store_and_wants_no_token_of_it_when_the_store_is_the_clouds(cloud: Graph) -> None:
    (server,) = [item for item in pods.workloads(cloud) if item.name == "prometheus"]
    template = reveal(pods.template_of(server))
    assert "secret" not in json.dumps(template["spec"]["volumes"])
    assert "object-store" not in json.dumps(template)
    assert "object-store" not in json.dumps(reveal(dict(cloud.object("ConfigMap", "prometheus-config").inputs)))


def test_everything_in_the_cloud_uses_the_one_provider_of_the_account_when_deployed(cloud: Graph) -> None:
    (provider,) = cloud.of_type("pulumi:providers:aws")
    assert json.loads(reveal(dict(provider.inputs))["allowedAccountIds"]) == [ACCOUNT]
    assert {item.provider for item in cloud.resources.values() if item.type.startswith("aws:")} == {"aws"}


def test_preview_knows_every_policy_when_nothing_exists_yet() -> None:
    graph = STACKS["prod"].run(preview=True)
    policies = [
        item.inputs[key]
        for item in graph.resources.values()
        for key in ("policy", "assumeRolePolicy")
        if key in item.inputs
    ]
    assert len(policies) > 15
    assert not any(isinstance(policy, Unknown) for policy in policies)


def test_package_of_aws_is_loaded_only_where_a_stack_is_there_when_programs_run() -> None:
    code = """
import sys
sys.modules["pulumi_aws"] = None
from tests.support.stacks import STACKS
print(len(STACKS["dev"].run().resources) > 50)
try:
    STACKS["staging"].run()
except Exception as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    ran, *refused = done.stdout.splitlines()
    assert ran == "True"
    assert refused == ["a stack on AWS needs the package pulumi_aws: pip install -e '.[aws]'"]


# Network ------------------------------------------------------------------------------------------------------------


def test_subnets_lie_apart_in_three_zones_inside_the_network_when_deployed(
    cloud: Graph, staging: Graph, prod: Graph
) -> None:
    network = IPv4Network(inputs(cloud, "aws:ec2/vpc:Vpc", "network")["cidrBlock"])
    subnets = [reveal(dict(item.inputs)) for item in cloud.of_type("aws:ec2/subnet:Subnet")]
    blocks = [IPv4Network(item["cidrBlock"]) for item in subnets]
    assert all(block.subnet_of(network) for block in blocks)
    assert not any(one.overlaps(other) for one in blocks for other in blocks if one is not other)
    assert len(subnets) == 9 if cloud is prod else 6
    assert cloud in (prod, staging)
    assert {item["availabilityZone"] for item in subnets} == {f"eu-central-1{zone}" for zone in "abc"}


def test_nothing_but_gateways_has_a_public_address_when_deployed(cloud: Graph) -> None:
    assert not any(item.inputs["mapPublicIpOnLaunch"] for item in cloud.of_type("aws:ec2/subnet:Subnet"))
    private = {item.name: item for item in cloud.of_type("aws:ec2/route:Route") if "private" in item.name}
    assert len(private) == 3
    assert all("natGatewayId" in item.inputs and "gatewayId" not in item.inputs for item in private.values())


def test_a_zone_may_fail_in_prod_and_only_there_when_its_gateway_does(staging: Graph, prod: Graph) -> None:
    def gateways(graph: Graph) -> set[str]:
        return {
            str(item.inputs["natGatewayId"]) for item in graph.of_type("aws:ec2/route:Route") if "private" in item.name
        }

    assert len(gateways(prod)) == 3
    assert len(gateways(staging)) == 1


def test_calls_to_aws_stay_inside_when_deployed(prod: Graph) -> None:
    endpoints = [reveal(dict(item.inputs)) for item in prod.of_type("aws:ec2/vpcEndpoint:VpcEndpoint")]
    services = {item["serviceName"].removeprefix("com.amazonaws.eu-central-1."): item for item in endpoints}
    assert set(services) >= {"s3", "ecr.api", "ecr.dkr", "eks-auth", "kms", "logs", "sqs", "sts"}
    assert services["s3"]["vpcEndpointType"] == "Gateway"
    assert len(services["s3"]["routeTableIds"]) == 3
    assert all(item["privateDnsEnabled"] for name, item in services.items() if name != "s3")


def test_default_security_group_allows_nothing_when_deployed(cloud: Graph) -> None:
    (group,) = cloud.of_type("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
    assert {"ingress", "egress"}.isdisjoint(group.inputs)


def test_only_https_comes_in_from_anywhere_when_deployed(cloud: Graph) -> None:
    rules = [item.inputs for item in cloud.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")]
    open_ports = {(rule["fromPort"], rule["toPort"]) for rule in rules if rule.get("cidrIpv4") == "0.0.0.0/0"}
    assert open_ports == {(443, 443)}


# Cluster ------------------------------------------------------------------------------------------------------------


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


def test_network_policies_act_when_deployed(cloud: Graph) -> None:
    addon = inputs(cloud, "aws:eks/addon:Addon", "cluster-vpc-cni")
    assert json.loads(addon["configurationValues"])["enableNetworkPolicy"] == "true"


def test_nodes_come_after_their_network_and_before_what_runs_on_them_when_deployed(cloud: Graph) -> None:
    nodes = named(cloud, "aws:eks/nodeGroup:NodeGroup", "cluster-system")
    assert named(cloud, "aws:eks/addon:Addon", "cluster-vpc-cni").urn in nodes.depends_on
    assert nodes.urn in named(cloud, "aws:eks/addon:Addon", "cluster-coredns").depends_on
    for component in ("mlplatform:index:ClusterServices", "mlplatform:index:MlPlatform"):
        (found,) = cloud.of_type(component)
        assert nodes.urn in found.depends_on


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


def pool(graph: Graph, name: str) -> dict[str, Any]:
    return graph.object("NodePool", name).manifest["spec"]


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


# Data ---------------------------------------------------------------------------------------------------------------


def test_objects_are_kept_encrypted_and_copied_to_another_region_when_deployed(cloud: Graph) -> None:
    for name, region in (("object-store", None), ("object-store-replica", "eu-west-1")):
        bucket = named(cloud, "aws:s3/bucket:Bucket", name)
        assert bucket.inputs.get("region") == region
        assert bucket.protect
        versioning = inputs(cloud, "aws:s3/bucketVersioning:BucketVersioning", name)
        assert versioning["versioningConfiguration"]["status"] == "Enabled"
        (rule,) = inputs(
            cloud, "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", name
        )["rules"]
        assert rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "aws:kms"
    (rule,) = inputs(cloud, "aws:s3/bucketReplicationConfig:BucketReplicationConfig", "object-store-replication")[
        "rules"
    ]
    assert rule["destination"]["bucket"].endswith("-replica")
    assert rule["sourceSelectionCriteria"]["sseKmsEncryptedObjects"]["status"] == "Enabled"


def test_tracking_server_uses_its_bucket_without_a_key_when_deployed(cloud: Graph) -> None:
    deployment = cloud.object("Deployment", "tracking-server")
    spec = pods.template_of(deployment)["spec"]
    environment = pods.env_of(pods.containers_of(deployment)["server"])
    assert spec["serviceAccountName"] == "tracking-server"
    assert spec["automountServiceAccountToken"] is False
    assert environment["AWS_DEFAULT_REGION"] == "eu-central-1"
    assert not any(name in environment for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    association = inputs(cloud, "aws:eks/podIdentityAssociation:PodIdentityAssociation", "tracking-identity-identity")
    assert association["serviceAccount"] == "tracking-server"
    assert association["namespace"] == cloud.stack_outputs["namespace"]
    bucket = cloud.stack_outputs["objectStore"]["consumers"]["mlflow"]["bucket"]
    assert f"--artifacts-destination=s3://{bucket}" in pods.containers_of(deployment)["server"]["args"]


def test_disks_of_pods_are_encrypted_with_the_stacks_key_and_kept_when_deployed(cloud: Graph) -> None:
    (item,) = cloud.of_kind("StorageClass")
    assert item.manifest["parameters"]["encrypted"] == "true"
    assert item.manifest["parameters"]["kmsKeyId"].startswith(f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/")
    assert item.manifest["reclaimPolicy"] == "Retain"
    assert item.manifest["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"


def test_every_key_is_renewed_and_protected_when_deployed(cloud: Graph) -> None:
    keys = cloud.of_type("aws:kms/key:Key")
    assert {item.name for item in keys} == {"log-key", "secrets-key", "data-key", "replica-key"}
    assert all(item.protect and item.inputs["enableKeyRotation"] for item in keys)


# Rights -------------------------------------------------------------------------------------------------------------


def statements(graph: Graph) -> list[tuple[str, Any]]:
    found = [(item.name, allowed(item.inputs["policy"])) for item in graph.of_type("aws:iam/rolePolicy:RolePolicy")]
    assert found
    return [(name, statement) for name, policy in found for statement in policy or []]


def test_no_role_may_do_more_than_its_policy_names_when_deployed(cloud: Graph) -> None:
    for name, statement in statements(cloud):
        assert not any("*" in action for action in statement.actions), name
        for resource in statement.resources:
            is_broad = resource != "*" and resource.endswith("*") and not statement.narrowed
            assert not is_broad or any(part in resource for part in BROAD_RESOURCES), f"{name} {resource}"


def test_no_reason_for_a_broad_resource_is_left_over_when_all_are_looked_at(cloud: Graph) -> None:
    broad = {
        resource
        for _, statement in statements(cloud)
        for resource in statement.resources
        if resource != "*" and resource.endswith("*") and not statement.narrowed
    }
    assert all(any(part in resource for resource in broad) for part in BROAD_RESOURCES)


def test_only_vouched_for_policies_of_aws_are_attached_when_deployed(cloud: Graph) -> None:
    attached = {
        item.inputs["policyArn"].rpartition("/")[2]
        for item in cloud.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    }
    assert attached == set(AWS_MANAGED)


def test_roles_of_pods_are_taken_by_one_service_account_of_this_cluster_only_when_asked_for(cloud: Graph) -> None:
    roles = {item.name: json.loads(item.inputs["assumeRolePolicy"]) for item in cloud.of_type("aws:iam/role:Role")}
    of_pods = {
        name: trust["Statement"][0]["Condition"]["StringEquals"]
        for name, trust in roles.items()
        if trust["Statement"][0]["Principal"]["Service"] == "pods.eks.amazonaws.com"
    }
    assert len(of_pods) == 4
    for conditions in of_pods.values():
        assert set(conditions) == {
            "aws:RequestTag/eks-cluster-arn",
            "aws:RequestTag/kubernetes-namespace",
            "aws:RequestTag/kubernetes-service-account",
        }


def test_key_policies_name_every_action_and_principal_when_deployed(cloud: Graph) -> None:
    for key in cloud.of_type("aws:kms/key:Key"):
        for statement in json.loads(key.inputs["policy"])["Statement"]:
            assert not any("*" in action for action in statement["Action"]), key.name
            assert all("*" not in principal for principal in statement["Principal"].values()), key.name
            if statement["Sid"] == "Administration":
                reading = {"kms:Decrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom"}
                assert reading.isdisjoint(statement["Action"]), "an administrator reads nothing"


def test_karpenter_may_end_only_machines_of_this_cluster_when_asked_to(cloud: Graph) -> None:
    (item,) = [item for item in cloud.of_type("aws:iam/rolePolicy:RolePolicy") if item.name == "karpenter-policy"]
    policy = json.loads(item.inputs["policy"])["Statement"]
    (remove,) = [statement for statement in policy if "ec2:TerminateInstances" in statement["Action"]]
    name = inputs(cloud, "aws:eks/cluster:Cluster", "cluster")["name"]
    assert remove["Condition"]["StringEquals"] == {f"aws:ResourceTag/kubernetes.io/cluster/{name}": "owned"}


# The way in ---------------------------------------------------------------------------------------------------------


def test_every_host_has_a_name_at_the_load_balancer_when_deployed(cloud: Graph) -> None:
    records = {item.inputs["name"] for item in cloud.of_type("aws:route53/record:Record") if item.inputs["type"] == "A"}
    assert records == set(cloud.stack_outputs["hosts"].values())
    assert set(cloud.stack_outputs["hosts"]) == {"mlflow", "ml", "api"}


def test_tls_ends_with_a_certificate_that_covers_every_host_when_deployed(cloud: Graph) -> None:
    (certificate,) = cloud.of_type("aws:acm/certificate:Certificate")
    domain = cloud.stack_outputs["domain"]
    assert certificate.inputs["domainName"] == f"*.{domain}"
    (listener,) = cloud.of_type("aws:lb/listener:Listener")
    assert (listener.inputs["protocol"], listener.inputs["port"]) == ("TLS", 443)
    assert "TLS13" in listener.inputs["sslPolicy"]


def test_somebody_is_told_before_the_money_is_gone_when_deployed(cloud: Graph) -> None:
    (budget,) = cloud.of_type("aws:budgets/budget:Budget")
    assert {item["notificationType"] for item in budget.inputs["notifications"]} == {"ACTUAL", "FORECASTED"}
    assert all(item["subscriberEmailAddresses"] for item in budget.inputs["notifications"])


def test_components_that_wait_as_a_whole_are_these_when_deployed(cloud: Graph) -> None:
    waiting = {
        item.name
        for item in cloud.resources.values()
        if not item.custom
        and set(item.depends_on) - {urn for urns in item.property_dependencies.values() for urn in urns}
    }
    pools = {item.name for item in cloud.of_kind("NodePool")}
    assert waiting == {
        *("secrets-key", "data-key", "replica-key", "cluster"),  # the roles that they name
        *("cluster-services", "prerequisites"),  # the nodes
        *pools,  # Karpenter
        "platform",  # all of that
        *("tracking-server", "event-store"),  # their database
        "platform-namespace",  # the priorities that pods name
    }


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_no_resource_waits_for_more_than_five_others_by_declaration_when_deployed(stack: str) -> None:
    graph = STACKS[stack].run()
    for item in graph.resources.values():
        by_data = {urn for urns in item.property_dependencies.values() for urn in urns}
        waited_for = [graph.resources[urn] for urn in set(item.depends_on) - by_data if urn in graph.resources]
        # A component that is waited for counts once, whatever is in it.
        groups = {_outermost(graph, other, item) for other in waited_for}
        assert len(groups) <= 5, item.name


def _outermost(graph: Graph, item: Recorded, seen_from: Recorded) -> str:
    """Return the largest component around a resource that does not hold the one that waits."""
    around = {seen_from.urn, *_ancestors(graph, seen_from), graph.stack_urn}
    path = [item.urn, *_ancestors(graph, item)]
    return next(
        (urn for urn, parent in zip(path, [*path[1:], graph.stack_urn], strict=True) if parent in around), path[-1]
    )


def _ancestors(graph: Graph, item: Recorded) -> list[str]:
    found: list[str] = []
    while item.parent in graph.resources:
        found.append(item.parent)
        item = graph.resources[item.parent]
    return found
