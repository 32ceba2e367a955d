"""What single components of the cloud do with their arguments; tests/stack shows them together."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from components._tracking_stores import CloudBucket
from components.encryption_key import EncryptionKey
from components.network_vpc import VpcNetwork
from components.node_pool import Gpus, NodePool
from components.platform_aws_services import ClusterServices
from components.tracking_server import TrackingServer
from policies.render import aws_outputs
from tests.support import pods
from tests.support.catalogue import declare_one
from tests.support.recording_monitor import Graph, Unknown, run


def inputs(graph: Graph, token: str) -> list[dict[str, Any]]:
    return [dict(item.inputs) for item in graph.of_type(token)]


def test_one_gateway_serves_all_zones_when_asked_for() -> None:
    graph = declare_one(VpcNetwork, nat_per_zone=False)
    assert len(graph.of_type("aws:ec2/natGateway:NatGateway")) == 1
    assert len([item for item in graph.of_type("aws:ec2/route:Route") if "natGatewayId" in item.inputs]) == 3


def test_network_has_no_endpoint_group_when_there_are_no_interface_endpoints() -> None:
    graph = declare_one(VpcNetwork, interface_endpoints=())
    assert [item["vpcEndpointType"] for item in inputs(graph, "aws:ec2/vpcEndpoint:VpcEndpoint")] == ["Gateway"]
    assert graph.of_type("aws:ec2/securityGroup:SecurityGroup") == []


def test_cluster_answers_named_networks_only_when_opened() -> None:
    from components.eks_cluster import EksCluster

    (cluster,) = inputs(declare_one(EksCluster, api_cidrs=("192.0.2.0/24",)), "aws:eks/cluster:Cluster")
    assert cluster["vpcConfig"]["endpointPublicAccess"] is True
    assert cluster["vpcConfig"]["publicAccessCidrs"] == ["192.0.2.0/24"]
    assert cluster["vpcConfig"]["endpointPrivateAccess"] is True


def test_pool_without_gpus_repels_nobody_and_keeps_nodes_in_office_hours_when_declared() -> None:
    graph = declare_one(NodePool, gpus=None, limits={"cpu": "8"}, capacity=("on-demand",), families=("m7i", "c7i"))
    spec = graph.object("NodePool", "example").manifest["spec"]
    assert "taints" not in spec["template"]["spec"]
    assert "accelerator" not in spec["template"]["metadata"]["labels"]
    assert spec["limits"] == {"cpu": "8"}
    assert {"nodes": "0", "reasons": ["Underutilized"], "schedule": "0 6 * * mon-fri", "duration": "12h"} in spec[
        "disruption"
    ]["budgets"]
    keys = [item["key"] for item in spec["template"]["spec"]["requirements"]]
    assert not any("gpu" in key for key in keys)


def test_pool_names_card_and_count_when_it_has_gpus() -> None:
    graph = declare_one(NodePool, gpus=Gpus(accelerator="a100", per_node=8, limit=16))
    spec = graph.object("NodePool", "example").manifest["spec"]
    assert spec["template"]["metadata"]["labels"]["accelerator"] == "a100"
    assert spec["limits"] == {"nvidia.com/gpu": "16"}
    count = {"key": "karpenter.k8s.aws/instance-gpu-count", "operator": "In", "values": ["8"]}
    assert count in spec["template"]["spec"]["requirements"]


def test_key_hands_its_use_on_only_to_services_of_aws_when_a_user_needs_that() -> None:
    (key,) = inputs(declare_one(EncryptionKey), "aws:kms/key:Key")
    statements = {item["Sid"]: item for item in json.loads(key["policy"])["Statement"]}
    assert statements["DisksGrants"]["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    assert "Condition" not in statements["Disks"]
    assert "LogsGrants" not in statements
    assert "ArnLike" in statements["Logs"]["Condition"]


def test_services_make_one_pool_per_card_and_one_without_when_declared() -> None:
    graph = declare_one(ClusterServices)
    assert {item.object_name for item in graph.of_kind("NodePool")} == {"cpu", "gpu-l4"}
    assert {item.object_name for item in graph.of_kind("EC2NodeClass")} == {"cpu", "gpu-l4"}


def test_tracking_server_may_call_the_cloud_and_has_no_key_when_its_bucket_is_there() -> None:
    graph = declare_one(TrackingServer, artifacts=CloudBucket(bucket="models", region="eu-west-1"))
    deployment = graph.object("Deployment", "example")
    server = pods.containers_of(deployment)["server"]
    assert pods.env_of(server)["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert not {"AWS_ACCESS_KEY_ID", "MLFLOW_S3_ENDPOINT_URL"} & set(pods.env_of(server))
    account = graph.object("ServiceAccount", "example").manifest
    assert account["automountServiceAccountToken"] is False
    assert pods.template_of(deployment)["spec"]["serviceAccountName"] == "example"
    (policy,) = [item.manifest["spec"] for item in graph.of_kind("NetworkPolicy") if item.name == "example-cloud"]
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {443, 80}
    assert list(pods.violations(deployment)) == []


# What the recording monitor answers for AWS -------------------------------------------------------------------------


def made(token: str, **given: Any) -> aws_outputs.Made:
    return aws_outputs.Made(token=token, name="thing", urn=f"urn::{token}", inputs=given)


@pytest.mark.parametrize(
    ("token", "given", "arn"),
    [
        ("aws:s3/bucket:Bucket", {"bucket": "models"}, "arn:aws:s3:::models"),
        ("aws:iam/role:Role", {"name": "reader"}, "arn:aws:iam::111122223333:role/reader"),
        ("aws:sqs/queue:Queue", {"name": "events"}, "arn:aws:sqs:eu-central-1:111122223333:events"),
        ("aws:cloudwatch/logGroup:LogGroup", {"name": "/a"}, "arn:aws:logs:eu-central-1:111122223333:log-group:/a"),
    ],
)
def test_arn_has_the_form_of_its_service_when_made(token: str, given: dict[str, Any], arn: str) -> None:
    assert aws_outputs.computed(made(token, **given))["arn"] == arn


def test_ids_differ_by_resource_and_not_by_run_when_made() -> None:
    vpc = made("aws:ec2/vpc:Vpc")
    assert aws_outputs.identifier(vpc) == aws_outputs.identifier(made("aws:ec2/vpc:Vpc"))
    assert aws_outputs.identifier(vpc).startswith("vpc-")
    assert aws_outputs.identifier(made("aws:ec2/subnet:Subnet")).startswith("subnet-")


def test_outputs_are_unknown_when_previewed_and_known_when_made() -> None:
    def program() -> None:
        import pulumi_aws as aws

        provider = aws.Provider("aws", region="eu-west-1")
        opts = pulumi.ResourceOptions(provider=provider)
        cluster = aws.eks.Cluster(
            "cluster", role_arn="role", vpc_config=aws.eks.ClusterVpcConfigArgs(subnet_ids=["a"]), opts=opts
        )
        pulumi.export("endpoint", cluster.endpoint)
        pulumi.export("group", cluster.vpc_config.cluster_security_group_id)
        pulumi.export("subnets", cluster.vpc_config.subnet_ids)

    before, after = run(program, preview=True).stack_outputs, run(program).stack_outputs
    assert before["endpoint"] == before["group"] == Unknown()
    assert before["subnets"] == after["subnets"] == ["a"]
    assert ".eu-west-1." in after["endpoint"]
    assert after["group"].startswith("sg-")
