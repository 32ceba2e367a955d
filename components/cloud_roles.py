"""The IAM roles that services of AWS take for a cluster. They come first: keys name them, and a key that names a role
which is not there is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components._aws import AwsScope
from components._base import PlatformComponent
from components._iam import Allow, pod_trust, role, service_trust

_DISK_ACCOUNT = "ebs-csi-controller-sa"
_SYSTEM_NAMESPACE = "kube-system"


@dataclass(frozen=True, kw_only=True)
class CloudRolesArgs:
    """What the roles are about."""

    scope: AwsScope
    copies: Mapping[str, str]
    """Name of the bucket that has the copies, by that of the bucket whose objects are copied."""


class CloudRoles(PlatformComponent):
    """Roles of the control plane, of nodes, of the driver of disks and of the copying of objects."""

    cluster: aws.iam.Role
    nodes: aws.iam.Role
    disks: aws.iam.Role
    replication: aws.iam.Role

    def __init__(self, name: str, args: CloudRolesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._scope = name, args.scope
        self.cluster = self._create(
            "cluster", service_trust("eks.amazonaws.com", args.scope.account_id), ["AmazonEKSClusterPolicy"]
        )
        self.nodes = self._create(
            "node",
            service_trust("ec2.amazonaws.com"),
            ["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"],
        )
        self.disks = self._create(
            "disks",
            pod_trust(args.scope, _SYSTEM_NAMESPACE, _DISK_ACCOUNT),
            ["service-role/AmazonEBSCSIDriverPolicy"],
        )
        self.replication = self._create(
            "replication",
            service_trust("s3.amazonaws.com"),
            allowed=_replication(args.copies),
        )
        self.finish(
            cluster=self.cluster.arn, nodes=self.nodes.arn, disks=self.disks.arn, replication=self.replication.arn
        )

    def _create(
        self, purpose: str, trust: str, managed: Sequence[str] = (), *, allowed: Sequence[Allow] = ()
    ) -> aws.iam.Role:
        return role(
            self,
            f"{self._name}-{purpose}",
            self._scope,
            role_name=self._scope.named(purpose),
            trust=trust,
            managed=managed,
            allowed=allowed,
        ).role


def _replication(copies: Mapping[str, str]) -> list[Allow]:
    return [
        Allow(
            sid="FindObjects",
            actions=["s3:GetReplicationConfiguration", "s3:ListBucket"],
            resources=[f"arn:aws:s3:::{bucket}" for bucket in copies],
        ),
        Allow(
            sid="ReadVersions",
            actions=[
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionTagging",
            ],
            resources=[f"arn:aws:s3:::{bucket}/*" for bucket in copies],
        ),
        Allow(
            sid="WriteCopies",
            actions=["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"],
            resources=[f"arn:aws:s3:::{replica}/*" for replica in copies.values()],
        ),
    ]
