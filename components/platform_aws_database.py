"""The part of a stack's cloud that is about the database: a server, or what the backups of one in the cluster need.

Both say who may use keys for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pulumi

from components._aws import AwsScope
from components._cloud import ManagedBucket, ManagedDatabase
from components._database_clients import ADMIN, administrator_password
from components._iam import to_use_bucket
from components._secrets import SecretSource
from components.database_alarms import DatabaseAlarms, DatabaseAlarmsArgs
from components.encryption_key import KeyUser
from components.metadata_db_rds import MetadataDbRds, MetadataDbRdsArgs
from components.network_vpc import VpcNetwork
from components.settings import Settings
from components.settings_aws import AwsSettings
from components.settings_database import BACKUP_WINDOW
from components.workload_identity import WorkloadIdentity, WorkloadIdentityArgs
from ml.contracts import METADATA_DB_SERVICE


@dataclass(frozen=True, kw_only=True)
class DatabasePlace:
    """What of the cloud is there before the server."""

    network: VpcNetwork
    node_security_group: pulumi.Input[str]
    data_key_arn: pulumi.Input[str]
    log_key_arn: pulumi.Input[str]


def create_database(
    settings: Settings, cloud: AwsSettings, place: DatabasePlace, opts: pulumi.ResourceOptions
) -> ManagedDatabase | None:
    """Declare the server and its alarms; return how the platform finds it."""
    chosen = cloud.database
    if chosen is None:
        return None
    secrets = SecretSource(pulumi.Output.secret(settings.master_secret.reveal()))
    server = MetadataDbRds(
        METADATA_DB_SERVICE,
        MetadataDbRdsArgs(
            scope=cloud.scope,
            vpc_id=place.network.vpc_id,
            zones=cloud.zones,
            cidrs=place.network.isolated_cidrs,
            node_security_group=place.node_security_group,
            administrator=ADMIN,
            password=administrator_password(secrets, METADATA_DB_SERVICE),
            key_arn=place.data_key_arn,
            log_key_arn=place.log_key_arn,
            log_retention_days=cloud.log_retention_days,
            instance_class=chosen.instance_class,
            engine_version=chosen.engine_version,
            storage_gib=chosen.storage_gib,
            maximum_storage_gib=chosen.maximum_storage_gib,
            max_connections=settings.metadata_db.max_connections,
            backup_days=chosen.backup_days,
            backup_window=BACKUP_WINDOW,
            maintenance_window=chosen.maintenance_window,
            multi_az=chosen.multi_az,
            protect=settings.protect_data,
        ),
        opts,
    )
    if cloud.budget is not None:
        DatabaseAlarms(
            f"{METADATA_DB_SERVICE}-alarms",
            DatabaseAlarmsArgs(
                scope=cloud.scope,
                instance=server.instance,
                instance_class=chosen.instance_class,
                storage_gib=chosen.storage_gib,
                key_arn=place.log_key_arn,
                mails=cloud.budget.mails,
            ),
            opts,
        )
    return ManagedDatabase(
        kind="rds", host=server.host, cidrs=place.network.isolated_cidrs, authorities=chosen.authorities
    )


def data_key_users(cloud: AwsSettings) -> Iterator[KeyUser]:
    """Yield who uses the key of data for the server: whoever of the account may make one, by its service alone."""
    if cloud.database is None:
        return
    through = {"kms:ViaService": f"rds.{cloud.region}.amazonaws.com", "kms:CallerAccount": cloud.account_id}
    account = {"AWS": f"arn:aws:iam::{cloud.account_id}:root"}
    yield KeyUser(sid="Database", principal=account, conditions={"StringEquals": through}, grants=True)


def log_key_users(cloud: AwsSettings) -> Iterator[KeyUser]:
    """Yield who uses the key of logs for the server: alarms, whose topic is encrypted with it."""
    if cloud.database is None:
        return
    source = {"StringEquals": {"aws:SourceAccount": cloud.account_id}}
    yield KeyUser(sid="Alarms", principal={"Service": "cloudwatch.amazonaws.com"}, conditions=source)


def backup_bucket(settings: Settings, cloud: AwsSettings) -> ManagedBucket | None:
    """Return the bucket of the backups of a database in the cluster; None where there is no such database."""
    if not settings.metadata_db.is_cluster:
        return None
    return ManagedBucket(name=cloud.scope.named(f"backups-{cloud.account_id}"), region=cloud.region)


def create_backup_identity(
    settings: Settings,
    scope: AwsScope,
    bucket: ManagedBucket,
    cluster: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> WorkloadIdentity:
    """Declare who the servers' pods are: they may use one folder of the bucket of backups, and nothing else.

    They delete what is older than it must be kept; the bucket keeps what was deleted for a while longer.
    """
    return WorkloadIdentity(
        "backup-identity",
        WorkloadIdentityArgs(
            scope=scope,
            cluster=cluster,
            namespace=settings.namespace,
            # The operator makes the account, and calls it like the cluster of servers.
            account=METADATA_DB_SERVICE,
            allowed=to_use_bucket(bucket.name, "Backups", folder=f"{METADATA_DB_SERVICE}/"),
        ),
        opts,
    )
