"""Who the pods of a stack are to AWS: which bucket, or which folder of one, each may use, and with which keys."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components._aws import AwsScope
from components._cloud import ManagedBucket
from components._iam import OBJECT_ACTIONS, Allow, to_use_bucket
from components.encryption_key import KeyUser
from components.platform_aws_database import create_backup_identity
from components.platform_teams import team_folder
from components.settings import Settings
from components.settings_teams import TeamSettings
from components.workload_identity import WorkloadIdentity, WorkloadIdentityArgs
from ml.contracts import METADATA_DB_SERVICE, TRACKING_SERVER_SERVICE


@dataclass(frozen=True, kw_only=True)
class UsedBuckets:
    """The stack's buckets that pods use."""

    artifacts: ManagedBucket
    backups: ManagedBucket | None
    """None where no database runs in the cluster."""


def create_identities(
    settings: Settings,
    scope: AwsScope,
    buckets: UsedBuckets,
    cluster: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> list[WorkloadIdentity]:
    """Declare who the tracking server's pods are, then the teams', then the database's."""
    tracking = WorkloadIdentity(
        "tracking-identity",
        WorkloadIdentityArgs(
            scope=scope,
            cluster=cluster,
            namespace=settings.namespace,
            account=TRACKING_SERVER_SERVICE,
            allowed=to_use_bucket(buckets.artifacts.name, "Artifacts"),
        ),
        opts,
    )
    teams = [_create_team_identity(team, scope, buckets.artifacts, cluster, opts) for team in _teams(settings)]
    if buckets.backups is None:
        return [tracking, *teams]
    return [tracking, *teams, create_backup_identity(settings, scope, buckets.backups, cluster, opts)]


def object_key_users(settings: Settings, scope: AwsScope) -> list[KeyUser]:
    """Return who reads and writes objects, and so uses the keys that they are encrypted with."""
    teams = enumerate((team.consumer for team in _teams(settings)), start=1)
    users = {"Artifacts": TRACKING_SERVER_SERVICE, **{f"Team{number}": consumer for number, consumer in teams}}
    if settings.metadata_db.is_cluster:
        users["Backups"] = METADATA_DB_SERVICE
    return [KeyUser(sid=sid, principal={"AWS": scope.role_arn(role)}) for sid, role in users.items()]


def _teams(settings: Settings) -> tuple[TeamSettings, ...]:
    """Return the teams whose objects lie in the cloud's store; the platform's own has keys for them."""
    return settings.teams if settings.object_store.kind == "s3" else ()


def _create_team_identity(
    team: TeamSettings,
    scope: AwsScope,
    bucket: ManagedBucket,
    cluster: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> WorkloadIdentity:
    """Declare who a team's pods are: they may use one folder of the bucket, and list nothing outside it."""
    arn, folder = f"arn:aws:s3:::{bucket.name}", team_folder(team)
    allowed = [
        Allow(
            sid="FindOwnObjects",
            actions=["s3:ListBucket"],
            resources=[arn],
            conditions={"StringLike": {"s3:prefix": f"{folder}*"}},
        ),
        Allow(
            sid="UseOwnObjects",
            actions=[*OBJECT_ACTIONS],
            resources=[f"{arn}/{folder}*"],
        ),
    ]
    return WorkloadIdentity(
        f"{team.consumer}-identity",
        WorkloadIdentityArgs(
            scope=scope,
            cluster=cluster,
            namespace=team.namespace,
            account=team.consumer,
            allowed=allowed,
        ),
        opts,
    )
