"""One example of every component of the cloud; `tests.support.catalogue` shows them beside the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pulumi

from components._aws import AwsScope
from components._iam import Allow
from components._schema import Sensitive
from components.cloud_roles import CloudRolesArgs
from components.database_alarms import DatabaseAlarmsArgs
from components.disk_class import DiskClassArgs
from components.eks_cluster import EksClusterArgs, SystemNodes
from components.encryption_key import EncryptionKeyArgs, KeyUser
from components.metadata_db_rds import MetadataDbRdsArgs
from components.network_vpc import VpcNetworkArgs
from components.node_pool import Gpus, NodePoolArgs
from components.node_provisioner import NodeProvisionerArgs
from components.object_store_s3 import S3ObjectStoreArgs
from components.platform_aws import CloudFoundationArgs
from components.platform_aws_services import ClusterParts, ClusterServicesArgs
from components.public_access import PublicAccessArgs
from components.settings import MetadataDbSettings, ObjectStoreSettings, Settings
from components.settings_aws import AccessSettings, AwsSettings, BudgetSettings, GpuPoolSettings
from components.settings_database import DatabaseSettings
from components.spending_budget import SpendingBudgetArgs
from components.workload_identity import WorkloadIdentityArgs

ACCOUNT: Final = "111122223333"
TAGS: Final[Mapping[str, str]] = {"owner": "research", "cost-center": "42", "stack": "example"}
KEY: Final = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"
AWS: Final[dict[str, Any]] = {
    "name": "example",
    "accountId": "111122223333",
    "region": "eu-central-1",
    "replicaRegion": "eu-west-1",
    "owner": "research",
    "costCenter": "42",
    "adminPrincipals": ["arn:aws:iam::111122223333:role/deployer"],
}
"""The least that the setting `aws` must say."""
AUTHORITIES: Final = """\
-----BEGIN CERTIFICATE-----
MIIBzzCCAXWgAwIBAgIUA77h5oQ+YaJX9bgvrDPD+tBFMlowCgYIKoZIzj0EAwIw
PDE6MDgGA1UEAwwxbm9ib2R5OiByZXBsYWNlIGJ5IHRoZSBhdXRob3JpdGllcyBv
ZiB5b3VyIHJlZ2lvbjAgFw0yNjExMjYxNTQxMThaGA8yMTI2MTEwMjE1NDExOFow
PDE6MDgGA1UEAwwxbm9ib2R5OiByZXBsYWNlIGJ5IHRoZSBhdXRob3JpdGllcyBv
ZiB5b3VyIHJlZ2lvbjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMmncrecW4XV
kpp8i09xC4efIUSb930DbGKmotjkd/ZpStegtR+hnmPzee7KnHT08ZUC6FQ/ZJVP
l0qTu/Hako2jUzBRMB0GA1UdDgQWBBT8iQu2NZG7jRlqbOmGzHf/rL+iwzAfBgNV
HSMEGDAWgBT8iQu2NZG7jRlqbOmGzHf/rL+iwzAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0gAMEUCIFxEn1jInm5Q0w24EZm2QZExkDFaYDhCv+kGyUIVAR8l
AiEArKJsnRArQnAnJitq3hsE8G8aVelRLRIefqC3n9PT0Fo=
-----END CERTIFICATE-----
"""
"""A certificate whose key nobody has."""


def scope(instance: str) -> AwsScope:
    """Return where an example is."""
    return AwsScope(name=instance, account_id=ACCOUNT, region="eu-west-1", tags=TAGS)


def encryption_key(instance: str) -> EncryptionKeyArgs:
    """Return a key with a role that hands its use on, and a service under a condition."""
    logs = KeyUser(
        sid="Logs",
        principal={"Service": "logs.eu-west-1.amazonaws.com"},
        conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-west-1:1:log-group:*"}},
    )
    disks = KeyUser(sid="Disks", principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/disks"}, grants=True)
    return EncryptionKeyArgs(scope=scope(instance), purpose="examples", users=[logs, disks])


def network(instance: str) -> VpcNetworkArgs:
    """Return a network with a NAT gateway in every zone and two private endpoints."""
    return VpcNetworkArgs(
        scope=scope(instance),
        cidr="10.8.0.0/16",
        zones=("a", "b", "c"),
        nat_per_zone=True,
        interface_endpoints=("ecr.api", "sts"),
        log_key_arn=KEY,
        log_retention_days=30,
    )


def cluster(instance: str) -> EksClusterArgs:
    """Return a cluster that answers inside its network only."""
    return EksClusterArgs(
        scope=scope(instance),
        version="1.35",
        cluster_role_arn="cluster-role-arn",
        node_role_arn="node-role-arn",
        disk_role_arn="disk-role-arn",
        subnets=["subnet-1", "subnet-2", "subnet-3"],
        service_cidr="172.20.0.0/16",
        api_cidrs=(),
        inner_cidrs=("10.8.0.0/16",),
        admin_principals=(f"arn:aws:iam::{ACCOUNT}:role/deployer",),
        secrets_key_arn=KEY,
        log_key_arn=KEY,
        log_retention_days=30,
        nodes=SystemNodes(instance_types=("m7i.large",), count=2, volume_gib=50),
        protect=True,
    )


def object_store(instance: str) -> S3ObjectStoreArgs:
    """Return a store with its copy in another region."""
    return S3ObjectStoreArgs(
        scope=scope(instance),
        bucket=f"{instance}-objects",
        replica_bucket=f"{instance}-copies",
        replica_region="eu-central-1",
        key_arn=KEY,
        replica_key_arn="another-key-arn",
        replication_role_arn="replication-role-arn",
        infrequent_after_days=60,
        replaced_kept_days=90,
        protect=True,
    )


def metadata_db(instance: str) -> MetadataDbRdsArgs:
    """Return a server in two zones."""
    return MetadataDbRdsArgs(
        scope=scope(instance),
        vpc_id="vpc-1",
        zones=("a", "b", "c"),
        cidrs=("10.8.252.0/26", "10.8.252.64/26", "10.8.252.128/26"),
        node_security_group="sg-1",
        administrator="postgres",
        password=pulumi.Output.secret("the administrator's password"),
        key_arn=KEY,
        log_key_arn=KEY,
        log_retention_days=30,
        instance_class="db.m6g.large",
        engine_version="18",
        storage_gib=100,
        maximum_storage_gib=500,
        max_connections=200,
        backup_days=14,
        backup_window="01:00-02:00",
        maintenance_window="sun:03:00-sun:04:00",
        multi_az=True,
        protect=True,
    )


def database_alarms(instance: str) -> DatabaseAlarmsArgs:
    """Return the alarms of a small server."""
    return DatabaseAlarmsArgs(
        scope=scope(instance),
        instance=f"{instance}-metadata-db",
        instance_class="db.t4g.medium",
        storage_gib=100,
        key_arn=KEY,
        mails=("research@example.org",),
    )


def node_pool(instance: str) -> NodePoolArgs:
    """Return a pool of GPU nodes."""
    return NodePoolArgs(
        scope=scope(instance),
        image="bottlerocket@v1.63.0",
        instance_profile="nodes",
        security_group="sg-1",
        families=("g6",),
        capacity=("spot", "on-demand"),
        idle_seconds=300,
        expire_hours=168,
        volume_gib=150,
        gpus=Gpus(accelerator="l4", per_node=1, limit=4),
    )


def public_access(instance: str) -> PublicAccessArgs:
    """Return the way in to two hosts."""
    return PublicAccessArgs(
        scope=scope(instance),
        zone_id="Z0EXAMPLE",
        domain="example.org",
        hosts={"ml": "ml.example.org", "api": "api.example.org"},
        vpc_id="vpc-1",
        subnets=["subnet-1", "subnet-2", "subnet-3"],
        autoscaling_group="system",
        node_security_group="sg-1",
        node_port=30_080,
        protect=True,
    )


def aws_settings(instance: str) -> AwsSettings:
    """Return the section `aws` with everything that can be left out."""
    return AwsSettings(
        name=instance,
        account_id=ACCOUNT,
        region="eu-west-1",
        replica_region="eu-central-1",
        owner="research",
        cost_center="42",
        admin_principals=(f"arn:aws:iam::{ACCOUNT}:role/deployer",),
        gpu_pools=(GpuPoolSettings(name="l4", families=("g6",)),),
        access=AccessSettings(zone_id="Z0EXAMPLE"),
        budget=BudgetSettings(monthly_usd=100, mails=("research@example.org",)),
        database=DatabaseSettings(authorities=AUTHORITIES),
    )


def settings(instance: str) -> Settings:
    """Return the settings of a stack on AWS."""
    return Settings(
        master_secret=Sensitive("the master secret of component tests"),
        namespace=f"{instance}-namespace",
        image_registry="registry.test",
        object_store=ObjectStoreSettings(kind="s3"),
        metadata_db=MetadataDbSettings(kind="rds"),
        aws=aws_settings(instance),
    )


def cluster_services(instance: str) -> ClusterServicesArgs:
    """Return the services of a cluster that somebody else has made."""
    parts = ClusterParts(cluster=instance, security_group="sg-1", node_role="node", data_key_arn=KEY)
    return ClusterServicesArgs(aws=aws_settings(instance), keep_disks=True, parts=parts)


def cloud_roles(instance: str) -> CloudRolesArgs:
    """Return the roles of a stack."""
    return CloudRolesArgs(scope=scope(instance), copies={f"{instance}-objects": f"{instance}-copies"})


def disk_class(instance: str) -> DiskClassArgs:
    """Return a class of disks that are kept."""
    return DiskClassArgs(scope=scope(instance), key_arn=KEY, keep=True)


def node_provisioner(instance: str) -> NodeProvisionerArgs:
    """Return Karpenter for a cluster."""
    return NodeProvisionerArgs(scope=scope(instance), cluster=instance, node_role="node", replicas=2)


def spending_budget(instance: str) -> SpendingBudgetArgs:
    """Return a budget."""
    return SpendingBudgetArgs(scope=scope(instance), monthly_usd=100, mails=("research@example.org",))


def workload_identity(instance: str) -> WorkloadIdentityArgs:
    """Return who may read one bucket."""
    read = Allow(sid="Read", actions=["s3:GetObject"], resources=["arn:aws:s3:::example/*"])
    return WorkloadIdentityArgs(
        scope=scope(instance), cluster=instance, namespace="research", account="reader", allowed=[read]
    )


def cloud_foundation(instance: str) -> CloudFoundationArgs:
    """Return everything below a cluster."""
    return CloudFoundationArgs(settings=settings(instance), aws=aws_settings(instance))
