"""The cloud part of a stack on AWS: what the platform's cluster is made of, and what lies outside it.

`components.platform_aws_services` is the other half: what runs in the cluster before the platform does. The connection
to the cluster lies between them; `components.place` makes it, and nothing else imports either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components._base import PlatformComponent
from components._cloud import CloudParts, ManagedBucket
from components.cloud_roles import CloudRoles, CloudRolesArgs
from components.eks_cluster import EksCluster, EksClusterArgs, SystemNodes
from components.encryption_key import EncryptionKey, EncryptionKeyArgs, KeyUser
from components.network_vpc import VpcNetwork, VpcNetworkArgs
from components.object_store_s3 import S3ObjectStore, S3ObjectStoreArgs
from components.platform_access import hosts
from components.platform_aws_database import (
    DatabasePlace,
    backup_bucket,
    create_database,
    data_key_users,
    log_key_users,
)
from components.platform_aws_identities import UsedBuckets, create_identities, object_key_users
from components.platform_aws_services import ClusterParts
from components.public_access import PublicAccess, PublicAccessArgs
from components.settings import Settings
from components.settings_aws import AwsSettings
from components.spending_budget import SpendingBudget, SpendingBudgetArgs
from components.workload_identity import WorkloadIdentity

_ARTIFACTS = "artifacts"


@dataclass(frozen=True, kw_only=True)
class CloudFoundationArgs:
    """What makes one foundation differ from another: the stack's settings."""

    settings: Settings
    aws: AwsSettings


class CloudFoundation(PlatformComponent):
    """Network, keys, cluster, buckets and the way in."""

    def __init__(self, name: str, args: CloudFoundationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._settings, self._aws = args.settings, args.aws
        self._scope = args.aws.scope
        self._bucket = ManagedBucket(
            name=self._scope.named(f"{_ARTIFACTS}-{self._aws.account_id}"), region=self._aws.region
        )
        self.backups = backup_bucket(args.settings, args.aws)
        copied = [bucket for bucket in (self._bucket, self.backups) if bucket is not None]
        copies = {bucket.name: _replica_of(bucket) for bucket in copied}
        self.roles = CloudRoles("roles", CloudRolesArgs(scope=self._scope, copies=copies), self.child())
        log_key = self._create_log_key()
        self.network = self._create_network(log_key)
        self.cluster = self._create_cluster(log_key)
        in_cloud = args.settings.object_store.kind == "s3"
        used = UsedBuckets(artifacts=self._bucket, backups=self.backups)
        identities = create_identities(args.settings, self._scope, used, self.cluster.cluster_name, self.child())
        self.data_key = self._create_data_key(identities)
        stores = {"object-store": self._bucket if in_cloud else None, "backups": self.backups}
        self._create_stores({name: bucket for name, bucket in stores.items() if bucket is not None}, identities)
        place = DatabasePlace(
            network=self.network,
            node_security_group=self.cluster.security_group,
            data_key_arn=self.data_key.arn,
            log_key_arn=log_key.arn,
        )
        self.database = create_database(args.settings, args.aws, place, self.child())
        self.access = self._create_access()
        if self._aws.budget is not None:
            budget = self._aws.budget
            SpendingBudget(
                "budget",
                SpendingBudgetArgs(scope=self._scope, monthly_usd=budget.monthly_usd, mails=budget.mails),
                self.child(),
            )
        self.finish(clusterName=self.cluster.cluster_name, vpcId=self.network.vpc_id)

    @property
    def cluster_parts(self) -> ClusterParts:
        """What the services of the cluster need."""
        return ClusterParts(
            cluster=self.cluster.cluster_name,
            security_group=self.cluster.security_group,
            node_role=self.roles.nodes.name,
            data_key_arn=self.data_key.arn,
        )

    @property
    def parts(self) -> CloudParts:
        """What the platform uses instead of pods."""
        return CloudParts(bucket=self._bucket, database=self.database, backups=self.backups)

    def _create_key(
        self,
        name: str,
        purpose: str,
        users: list[KeyUser],
        *,
        after: Sequence[pulumi.Resource] = (),
        region: str | None = None,
    ) -> EncryptionKey:
        return EncryptionKey(
            name,
            EncryptionKeyArgs(
                scope=self._scope,
                purpose=purpose,
                users=users,
                region=region,
                protect=self._settings.protect_data,
            ),
            # The gate: the roles that the key's policy names exist before it.
            self.child(depends_on=after),
        )

    def _create_log_key(self) -> EncryptionKey:
        context = {"kms:EncryptionContext:aws:logs:arn": self._scope.arn("logs", "log-group:*")}
        logs = KeyUser(
            sid="Logs",
            principal={"Service": f"logs.{self._aws.region}.amazonaws.com"},
            conditions={"ArnLike": context},
        )
        users = [logs, *log_key_users(self._aws)]
        return self._create_key("log-key", "logs of the cluster and its network", users)

    def _create_data_key(self, identities: Sequence[WorkloadIdentity]) -> EncryptionKey:
        users = [
            KeyUser(sid="Disks", principal={"AWS": self._scope.role_arn("disks")}, grants=True),
            KeyUser(sid="Replication", principal={"AWS": self._scope.role_arn("replication")}),
            *object_key_users(self._settings, self._scope),
            *data_key_users(self._aws),
        ]
        return self._create_key("data-key", "disks and objects", users, after=[self.roles, *identities])

    def _create_network(self, log_key: EncryptionKey) -> VpcNetwork:
        settings = self._aws
        return VpcNetwork(
            "network",
            VpcNetworkArgs(
                scope=self._scope,
                cidr=settings.vpc_cidr,
                zones=settings.zones,
                nat_per_zone=settings.nat_per_zone,
                interface_endpoints=settings.interface_endpoints,
                log_key_arn=log_key.arn,
                log_retention_days=settings.log_retention_days,
            ),
            self.child(),
        )

    def _create_cluster(self, log_key: EncryptionKey) -> EksCluster:
        settings, nodes = self._aws, self._aws.system_nodes
        user = KeyUser(sid="Cluster", principal={"AWS": self._scope.role_arn("cluster")}, grants=True)
        key = self._create_key("secrets-key", "Secrets of the cluster", [user], after=[self.roles])
        return EksCluster(
            "cluster",
            EksClusterArgs(
                scope=self._scope,
                version=settings.kubernetes_version,
                cluster_role_arn=self.roles.cluster.arn,
                node_role_arn=self.roles.nodes.arn,
                disk_role_arn=self.roles.disks.arn,
                subnets=self.network.private_subnets,
                service_cidr=settings.service_cidr,
                api_cidrs=settings.api_cidrs,
                inner_cidrs=(settings.vpc_cidr, *settings.connected_cidrs),
                admin_principals=settings.admin_principals,
                secrets_key_arn=key.arn,
                log_key_arn=log_key.arn,
                log_retention_days=settings.log_retention_days,
                nodes=SystemNodes(instance_types=nodes.instance_types, count=nodes.count, volume_gib=nodes.volume_gib),
                protect=self._settings.protect_data,
            ),
            # The gate: without the rights of its roles neither the cluster nor a node comes up.
            self.child(depends_on=[self.roles]),
        )

    def _create_stores(self, buckets: Mapping[str, ManagedBucket], identities: Sequence[WorkloadIdentity]) -> None:
        """Declare buckets, each with its replica, by the name of the store that they are."""
        if not buckets:
            return
        settings = self._aws
        replication = KeyUser(sid="Replication", principal={"AWS": self._scope.role_arn("replication")})
        replica_key = self._create_key(
            "replica-key",
            "copies of objects",
            # Who reads the copy after a disaster is the same as who read the original.
            [replication, *object_key_users(self._settings, self._scope)],
            after=[self.roles, *identities],
            region=settings.replica_region,
        )
        for name, bucket in buckets.items():
            S3ObjectStore(
                name,
                S3ObjectStoreArgs(
                    scope=self._scope,
                    bucket=bucket.name,
                    replica_bucket=_replica_of(bucket),
                    replica_region=settings.replica_region,
                    key_arn=self.data_key.arn,
                    replica_key_arn=replica_key.arn,
                    replication_role_arn=self.roles.replication.arn,
                    infrequent_after_days=settings.bucket.infrequent_after_days,
                    replaced_kept_days=settings.bucket.replaced_kept_days,
                    protect=self._settings.protect_data,
                ),
                self.child(),
            )

    def _create_access(self) -> PublicAccess | None:
        access = self._aws.access
        if access is None:
            return None
        return PublicAccess(
            "access",
            PublicAccessArgs(
                scope=self._scope,
                zone_id=access.zone_id,
                domain=self._settings.domain,
                hosts=hosts(self._settings),
                vpc_id=self.network.vpc_id,
                subnets=self.network.public_subnets,
                autoscaling_group=self.cluster.autoscaling_group,
                node_security_group=self.cluster.security_group,
                node_port=access.node_port,
                protect=self._settings.protect_data,
            ),
            # The gate: a load balancer that the world reaches needs the network's way out, which no input names.
            self.child(depends_on=[self.network]),
        )


def _replica_of(bucket: ManagedBucket) -> str:
    return f"{bucket.name}-replica"


def cloud_provider(settings: AwsSettings) -> aws.Provider:
    """Declare the provider of everything in the cloud; it refuses every account but the stack's."""
    return aws.Provider("aws", region=settings.region, allowed_account_ids=[settings.account_id])
