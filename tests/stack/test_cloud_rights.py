"""What the roles and keys of a stack on AWS allow, statement by statement; tests/stack/test_iam.py asks them."""

from __future__ import annotations

import json
from typing import Any

from policies._iam import AWS_MANAGED, allowed
from tests.support.cloud_resources import inputs
from tests.support.recording_monitor import Graph

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
