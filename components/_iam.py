"""Builders of IAM roles and of exactly what each may do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components._aws import AwsScope
from components._base import PlatformComponent

_VERSION = "2012-10-17"
_POD_IDENTITY = "pods.eks.amazonaws.com"
Conditions = Mapping[str, Mapping[str, str | Sequence[str]]]


@dataclass(frozen=True, kw_only=True)
class Allow:
    """Actions on resources, under conditions."""

    sid: str
    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Conditions = field(default_factory=dict[str, Mapping[str, str | Sequence[str]]])

    def statement(self) -> dict[str, Any]:
        """Return the form that a policy has."""
        found: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": list(self.resources),
        }
        return {**found, "Condition": self.conditions} if self.conditions else found


OBJECT_ACTIONS: Final = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)
"""To read, write and delete objects, large ones too."""


def to_use_bucket(bucket: str, what: str, *, folder: str = "") -> list[Allow]:
    """Return the rights to find, read, write and delete what lies in a bucket, or in one folder of it.

    `what` is the word by which both statements are told from others, such as `Artifacts`.
    """
    arn = f"arn:aws:s3:::{bucket}"
    return [
        Allow(
            sid=f"Find{what}",
            actions=["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"],
            resources=[arn],
        ),
        Allow(
            sid=f"Use{what}",
            actions=[*OBJECT_ACTIONS],
            resources=[f"{arn}/{folder}*"],
        ),
    ]


def document(statements: Sequence[Mapping[str, Any]]) -> str:
    """Return a policy."""
    return json.dumps({"Version": _VERSION, "Statement": list(statements)})


def policy(allowed: Sequence[Allow]) -> str:
    """Return a policy that allows these things and nothing else."""
    return document([item.statement() for item in allowed])


def service_trust(service: str, account_id: str | None = None) -> str:
    """Return the trust of a role that a service takes; with an account only on behalf of that one."""
    found: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if account_id is not None:
        found["Condition"] = {"StringEquals": {"aws:SourceAccount": account_id}}
    return document([found])


def pod_trust(scope: AwsScope, namespace: str, account: str) -> str:
    """Return the trust of a role that the pods of one service account of one cluster take."""
    tags = {
        "aws:RequestTag/eks-cluster-arn": scope.cluster_arn,
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": account,
    }
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": _POD_IDENTITY},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": tags},
    }
    return document([trust])


@dataclass(frozen=True, kw_only=True)
class GrantedRole:
    """A role with what gives it its rights."""

    role: aws.iam.Role
    rights: tuple[pulumi.Resource, ...]
    """Policies and attachments. Who acts as the role until the end depends on them, or it loses them while it does."""


def role(
    component: PlatformComponent,
    name: str,
    scope: AwsScope,
    *,
    role_name: str,
    trust: str,
    allowed: Sequence[Allow] = (),
    managed: Sequence[str] = (),
) -> GrantedRole:
    """Declare a role with its own policy and with policies that AWS maintains, given by the ends of their ARNs."""
    found = aws.iam.Role(
        f"{name}-role",
        name=role_name,
        assume_role_policy=trust,
        max_session_duration=3600,
        tags=scope.tagged(role_name),
        opts=component.child(),
    )
    rights: list[pulumi.Resource] = []
    if allowed:
        own = aws.iam.RolePolicy(f"{name}-policy", role=found.name, policy=policy(allowed), opts=component.child())
        rights.append(own)
    for arn in managed:
        attached = aws.iam.RolePolicyAttachment(
            f"{name}-{arn.rpartition('/')[2]}",
            role=found.name,
            policy_arn=f"arn:aws:iam::aws:policy/{arn}",
            opts=component.child(),
        )
        rights.append(attached)
    return GrantedRole(role=found, rights=tuple(rights))


def pod_identity(
    component: PlatformComponent,
    name: str,
    scope: AwsScope,
    *,
    cluster: pulumi.Input[str],
    namespace: str,
    account: str,
    role: aws.iam.Role,
) -> aws.eks.PodIdentityAssociation:
    """Let the pods of a service account take a role."""
    return aws.eks.PodIdentityAssociation(
        f"{name}-identity",
        cluster_name=cluster,
        namespace=namespace,
        service_account=account,
        role_arn=role.arn,
        tags=scope.tagged(scope.named(account)),
        opts=component.child(),
    )
