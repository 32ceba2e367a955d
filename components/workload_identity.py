"""What the pods of one service account may do on AWS. No key exists: the cluster vouches for who the pods are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components._aws import AwsScope
from components._base import PlatformComponent
from components._iam import Allow, pod_identity, pod_trust, role


@dataclass(frozen=True, kw_only=True)
class WorkloadIdentityArgs:
    """Who may do what."""

    scope: AwsScope
    cluster: pulumi.Input[str]
    namespace: str
    account: str
    """The service account."""
    allowed: Sequence[Allow]


class WorkloadIdentity(PlatformComponent):
    """A role that the pods of one service account take, and nobody else."""

    role: aws.iam.Role

    def __init__(self, name: str, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.role = role(
            self,
            name,
            args.scope,
            role_name=args.scope.named(args.account),
            trust=pod_trust(args.scope, args.namespace, args.account),
            allowed=args.allowed,
        ).role
        pod_identity(
            self,
            name,
            args.scope,
            cluster=args.cluster,
            namespace=args.namespace,
            account=args.account,
            role=self.role,
        )
        self.finish(roleArn=self.role.arn)
