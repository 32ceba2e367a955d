"""Backups of a database that CloudNativePG runs on AWS: their bucket, and who may do what with it.

What this does not prove: that AWS acts on any of it.
"""

from __future__ import annotations

import pytest

from tests.support.iam import Account, Request
from tests.support.recording_monitor import Graph, reveal
from tests.support.stacks import STACKS

NAMESPACE = "free-deep-research"
STACK, ACCOUNT_ID = "mlplatform-staging", "111122223333"
BACKUPS = f"arn:aws:s3:::{STACK}-backups-{ACCOUNT_ID}"
ARTIFACTS = f"arn:aws:s3:::{STACK}-artifacts-{ACCOUNT_ID}"
TLS = {"aws:SecureTransport": "true"}


def may(graph: Graph, who: str, action: str, resource: str, context: dict[str, str]) -> bool:
    principal = f"arn:aws:iam::{ACCOUNT_ID}:role/{STACK}-{who}"
    return Account(graph).allows(Request(principal=principal, action=action, resource=resource, context=context))


def test_servers_have_no_key_when_the_store_is_the_clouds(database_cluster_in_cloud: Graph) -> None:
    configuration = database_cluster_in_cloud.object("ObjectStore", "metadata-db").manifest["spec"]["configuration"]
    assert configuration["s3Credentials"] == {"inheritFromIAMRole": True}
    assert configuration["destinationPath"] == f"{BACKUPS.replace('arn:aws:s3:::', 's3://')}/metadata-db"
    (identity,) = [
        reveal(dict(item.inputs))
        for item in database_cluster_in_cloud.of_type("aws:eks/podIdentityAssociation:PodIdentityAssociation")
        if item.inputs["serviceAccount"] == "metadata-db"
    ]
    assert identity["namespace"] == NAMESPACE


@pytest.mark.parametrize(
    ("who", "action", "resource", "context"),
    [
        ("metadata-db", "s3:ListBucket", BACKUPS, TLS),
        ("metadata-db", "s3:PutObject", f"{BACKUPS}/metadata-db/metadata-db-1/wals/1", TLS),
        ("metadata-db", "s3:GetObject", f"{BACKUPS}/metadata-db/metadata-db-1/base/1/data.tar.gz", TLS),
        ("metadata-db", "s3:DeleteObject", f"{BACKUPS}/metadata-db/metadata-db-1/wals/1", TLS),
        ("metadata-db", "kms:GenerateDataKey", "data-key", {}),
        ("metadata-db", "kms:Decrypt", "data-key", {}),
        ("metadata-db", "kms:Decrypt", "replica-key", {}),
        ("replication", "s3:ReplicateObject", f"{BACKUPS}-replica/metadata-db/a", TLS),
        ("replication", "s3:GetObjectVersionForReplication", f"{BACKUPS}/metadata-db/a", TLS),
        ("replication", "s3:ReplicateObject", f"{ARTIFACTS}-replica/a", TLS),
    ],
)
def test_role_may_do_what_backups_need_when_it_asks(
    database_cluster_in_cloud: Graph, who: str, action: str, resource: str, context: dict[str, str]
) -> None:
    assert may(database_cluster_in_cloud, who, action, resource, context)


@pytest.mark.parametrize(
    ("who", "action", "resource", "context"),
    [
        ("metadata-db", "s3:GetObject", f"{ARTIFACTS}/1/run/artifacts/model", TLS),
        ("metadata-db", "s3:PutObject", f"{BACKUPS}/elsewhere/a", TLS),
        ("metadata-db", "s3:PutObject", f"{BACKUPS}/metadata-db/a", {"aws:SecureTransport": "false"}),
        ("metadata-db", "s3:DeleteObjectVersion", f"{BACKUPS}/metadata-db/a", TLS),
        ("metadata-db", "s3:DeleteObject", f"{BACKUPS}-replica/metadata-db/a", TLS),
        ("metadata-db", "s3:PutBucketPolicy", BACKUPS, TLS),
        ("metadata-db", "s3:PutLifecycleConfiguration", BACKUPS, TLS),
        ("metadata-db", "kms:Decrypt", "secrets-key", {}),
        ("metadata-db", "kms:ScheduleKeyDeletion", "data-key", {}),
        ("tracking-server", "s3:GetObject", f"{BACKUPS}/metadata-db/metadata-db-1/base/1/data.tar.gz", TLS),
        ("tracking-server", "s3:ListBucket", BACKUPS, TLS),
        ("node", "s3:GetObject", f"{BACKUPS}/metadata-db/a", TLS),
        ("replication", "s3:GetObject", f"{BACKUPS}/metadata-db/a", TLS),
    ],
)
def test_role_may_not_do_more_with_backups_when_it_asks(
    database_cluster_in_cloud: Graph, who: str, action: str, resource: str, context: dict[str, str]
) -> None:
    assert not may(database_cluster_in_cloud, who, action, resource, context)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, True),
        ({"kubernetes-service-account": "tracking-server"}, False),
        ({"kubernetes-namespace": "cnpg-system"}, False),
    ],
)
def test_role_is_taken_by_the_servers_alone_when_asked_for(
    database_cluster_in_cloud: Graph, changed: dict[str, str], expected: bool
) -> None:
    pod = {
        "eks-cluster-arn": f"arn:aws:eks:eu-central-1:{ACCOUNT_ID}:cluster/{STACK}",
        "kubernetes-namespace": NAMESPACE,
        "kubernetes-service-account": "metadata-db",
        **changed,
    }
    context = {f"aws:RequestTag/{key}": value for key, value in pod.items()}
    assert (
        Account(database_cluster_in_cloud).may_become("pods.eks.amazonaws.com", f"{STACK}-metadata-db", context)
        == expected
    )


def test_bucket_of_backups_is_kept_as_that_of_artifacts_when_deployed(database_cluster_in_cloud: Graph) -> None:
    name = BACKUPS.removeprefix("arn:aws:s3:::")
    buckets = {item.inputs["bucket"]: item for item in database_cluster_in_cloud.of_type("aws:s3/bucket:Bucket")}
    assert {name, f"{name}-replica"} <= set(buckets)
    assert buckets[name].protect
    for token in (
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    ):
        assert {name, f"{name}-replica"} <= {
            item.inputs["bucket"] for item in database_cluster_in_cloud.of_type(token)
        }, token
    copied = {
        item.inputs["bucket"]
        for item in database_cluster_in_cloud.of_type("aws:s3/bucketReplicationConfig:BucketReplicationConfig")
    }
    assert name in copied


def test_no_role_or_bucket_is_there_for_backups_when_the_database_is_a_pod() -> None:
    staging = STACKS["staging"].run()
    assert not [item for item in staging.of_type("aws:s3/bucket:Bucket") if "backups" in item.inputs["bucket"]]
    assert f"{STACK}-metadata-db" not in {item.inputs["name"] for item in staging.of_type("aws:iam/role:Role")}
