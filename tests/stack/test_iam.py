"""Who may do what in the account of a stack, decided by the policies that the stack declares, as AWS decides.

Policies that AWS maintains are attached beside them; what those allow is AWS's to know and not part of this.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.iam import Account, Request
from tests.support.recording_monitor import Graph

STACK = "mlplatform-staging"
ACCOUNT_ID = "111122223333"
BUCKET = f"arn:aws:s3:::{STACK}-artifacts-{ACCOUNT_ID}"
EC2 = f"arn:aws:ec2:eu-central-1:{ACCOUNT_ID}"
PROFILES = f"arn:aws:iam::{ACCOUNT_ID}:instance-profile"
QUEUE = f"arn:aws:sqs:eu-central-1:{ACCOUNT_ID}:{STACK}-interruptions"
TLS = {"aws:SecureTransport": "true"}
MACHINE = {f"kubernetes.io/cluster/{STACK}": "owned", "karpenter.sh/nodepool": "cpu"}
ASKED_FOR = {**MACHINE, "eks:eks-cluster-name": STACK}


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT_ID}:role/{STACK}-{name}"


def tags(kind: str, values: dict[str, str]) -> dict[str, str]:
    return {f"aws:{kind}Tag/{key}": value for key, value in values.items()}


@pytest.fixture
def account(staging: Graph) -> Account:
    return Account(staging)


@pytest.fixture
def with_database(prod: Graph) -> Account:
    return Account(prod)


def may(account: Account, who: str, action: str, resource: str, context: dict[str, str]) -> bool:
    return account.allows(Request(principal=role(who), action=action, resource=resource, context=context))


@pytest.mark.parametrize(
    ("who", "action", "resource", "context"),
    [
        ("tracking-server", "s3:ListBucket", BUCKET, TLS),
        ("tracking-server", "s3:PutObject", f"{BUCKET}/1/run/artifacts/model", TLS),
        ("tracking-server", "s3:GetObject", f"{BUCKET}/1/run/artifacts/model", TLS),
        ("tracking-server", "kms:GenerateDataKey", "data-key", {}),
        ("replication", "s3:GetObjectVersionForReplication", f"{BUCKET}/a", TLS),
        ("replication", "s3:ReplicateObject", f"{BUCKET}-replica/a", TLS),
        ("replication", "kms:Decrypt", "data-key", {}),
        ("replication", "kms:Encrypt", "replica-key", {}),
        ("disks", "kms:CreateGrant", "data-key", {"kms:GrantIsForAWSResource": "true"}),
        ("cluster", "kms:Encrypt", "secrets-key", {}),
        ("karpenter", "ec2:RunInstances", f"{EC2}:instance/*", tags("Request", ASKED_FOR)),
        ("karpenter", "ec2:TerminateInstances", f"{EC2}:instance/i-1", tags("Resource", MACHINE)),
        ("karpenter", "ec2:DescribeInstances", "*", {"aws:RequestedRegion": "eu-central-1"}),
        ("karpenter", "iam:PassRole", role("node"), {"iam:PassedToService": "ec2.amazonaws.com"}),
        ("karpenter", "iam:GetInstanceProfile", f"{PROFILES}/{STACK}-node", {}),
        ("karpenter", "iam:GetInstanceProfile", f"{PROFILES}/{STACK}_123", {}),
        ("karpenter", "sqs:ReceiveMessage", QUEUE, TLS),
    ],
)
def test_role_may_do_what_it_is_for_when_it_asks(
    account: Account, who: str, action: str, resource: str, context: dict[str, str]
) -> None:
    assert may(account, who, action, resource, context)


@pytest.mark.parametrize(
    ("who", "action", "resource", "context"),
    [
        ("tracking-server", "s3:GetObject", f"{BUCKET}/1/run/artifacts/model", {"aws:SecureTransport": "false"}),
        ("tracking-server", "s3:GetObject", "arn:aws:s3:::somebody-elses/model", TLS),
        ("tracking-server", "s3:GetObject", f"{BUCKET}-replica/1/run/artifacts/model", TLS),
        ("tracking-server", "s3:DeleteBucket", BUCKET, TLS),
        ("tracking-server", "s3:PutBucketPolicy", BUCKET, TLS),
        ("tracking-server", "s3:DeleteObjectVersion", f"{BUCKET}/1/run/artifacts/model", TLS),
        ("tracking-server", "kms:Decrypt", "secrets-key", {}),
        ("tracking-server", "kms:ScheduleKeyDeletion", "data-key", {}),
        ("tracking-server", "ec2:RunInstances", f"{EC2}:instance/*", tags("Request", ASKED_FOR)),
        ("replication", "s3:GetObject", f"{BUCKET}/a", TLS),
        ("replication", "s3:ReplicateObject", f"{BUCKET}/a", TLS),
        ("disks", "kms:CreateGrant", "data-key", {"kms:GrantIsForAWSResource": "false"}),
        ("disks", "kms:Decrypt", "secrets-key", {}),
        ("node", "s3:GetObject", f"{BUCKET}/1/run/artifacts/model", TLS),
        ("node", "kms:Decrypt", "data-key", {}),
        ("karpenter", "ec2:RunInstances", f"{EC2}:instance/*", {}),
        ("karpenter", "ec2:TerminateInstances", f"{EC2}:instance/i-1", {}),
        (
            "karpenter",
            "ec2:TerminateInstances",
            f"{EC2}:instance/i-1",
            tags("Resource", {"kubernetes.io/cluster/another": "owned", "karpenter.sh/nodepool": "cpu"}),
        ),
        ("karpenter", "ec2:DescribeInstances", "*", {"aws:RequestedRegion": "us-east-1"}),
        ("karpenter", "iam:PassRole", role("cluster"), {"iam:PassedToService": "ec2.amazonaws.com"}),
        ("karpenter", "iam:PassRole", role("node"), {"iam:PassedToService": "lambda.amazonaws.com"}),
        ("karpenter", "iam:CreateRole", role("another"), {}),
        ("karpenter", "iam:GetInstanceProfile", f"{PROFILES}/another_123", {}),
        ("karpenter", "iam:DeleteInstanceProfile", f"{PROFILES}/{STACK}_123", {}),
        ("karpenter", "sqs:ReceiveMessage", QUEUE, {"aws:SecureTransport": "false"}),
        ("karpenter", "s3:GetObject", f"{BUCKET}/1/run/artifacts/model", TLS),
    ],
)
def test_role_may_not_do_more_when_it_asks(
    account: Account, who: str, action: str, resource: str, context: dict[str, str]
) -> None:
    assert not may(account, who, action, resource, context)


@pytest.mark.parametrize(
    ("service", "name", "changed", "expected"),
    [
        ("pods.eks.amazonaws.com", "tracking-server", {}, True),
        ("pods.eks.amazonaws.com", "tracking-server", {"kubernetes-service-account": "api"}, False),
        ("pods.eks.amazonaws.com", "tracking-server", {"kubernetes-namespace": "team-a"}, False),
        (
            "pods.eks.amazonaws.com",
            "tracking-server",
            {"eks-cluster-arn": f"arn:aws:eks:eu-central-1:{ACCOUNT_ID}:cluster/another"},
            False,
        ),
        ("ec2.amazonaws.com", "tracking-server", {}, False),
        ("ec2.amazonaws.com", "node", {}, True),
        ("lambda.amazonaws.com", "node", {}, False),
    ],
)
def test_role_is_taken_by_whom_it_is_meant_for_when_asked_for(
    account: Account, service: str, name: str, changed: dict[str, str], expected: bool
) -> None:
    pod: dict[str, Any] = {
        "eks-cluster-arn": f"arn:aws:eks:eu-central-1:{ACCOUNT_ID}:cluster/{STACK}",
        "kubernetes-namespace": "free-deep-research",
        "kubernetes-service-account": "tracking-server",
    }
    assert account.may_become(service, f"{STACK}-{name}", tags("Request", {**pod, **changed})) == expected


DEPLOYER = f"arn:aws:iam::{ACCOUNT_ID}:root"
"""Whoever of the account has a right to it of their own: the key leaves it to the account."""
BY_RDS = {"kms:ViaService": "rds.eu-central-1.amazonaws.com", "kms:CallerAccount": ACCOUNT_ID}
FOR_AWS = {**BY_RDS, "kms:GrantIsForAWSResource": "true"}


@pytest.mark.parametrize(
    ("principal", "action", "key", "context", "expected"),
    [
        (DEPLOYER, "kms:CreateGrant", "data-key", FOR_AWS, True),
        (DEPLOYER, "kms:GenerateDataKey", "data-key", BY_RDS, True),
        (DEPLOYER, "kms:Decrypt", "data-key", BY_RDS, True),
        (DEPLOYER, "kms:Decrypt", "data-key", {}, False),
        (DEPLOYER, "kms:Decrypt", "data-key", {**BY_RDS, "kms:CallerAccount": "999988887777"}, False),
        (DEPLOYER, "kms:Decrypt", "data-key", {**BY_RDS, "kms:ViaService": "s3.eu-central-1.amazonaws.com"}, False),
        (DEPLOYER, "kms:Decrypt", "secrets-key", BY_RDS, False),
        ("cloudwatch.amazonaws.com", "kms:GenerateDataKey", "log-key", {"aws:SourceAccount": ACCOUNT_ID}, True),
        ("cloudwatch.amazonaws.com", "kms:GenerateDataKey", "log-key", {"aws:SourceAccount": "999988887777"}, False),
        ("cloudwatch.amazonaws.com", "kms:Decrypt", "data-key", {"aws:SourceAccount": ACCOUNT_ID}, False),
    ],
)
def test_key_is_used_for_the_database_by_its_service_alone_when_asked(
    with_database: Account, principal: str, action: str, key: str, context: dict[str, str], expected: bool
) -> None:
    request = Request(principal=principal, action=action, resource=key, context=context)
    assert with_database.allows(request) == expected


def test_key_is_not_open_to_the_database_service_when_the_database_is_a_pod(account: Account) -> None:
    assert not account.allows(Request(principal=DEPLOYER, action="kms:Decrypt", resource="data-key", context=BY_RDS))


def test_only_the_clouds_events_of_this_account_reach_the_queue_when_sent(account: Account) -> None:
    def sent(principal: str, source: str) -> bool:
        context = {**TLS, "aws:SourceAccount": source}
        request = Request(principal=principal, action="sqs:SendMessage", resource=QUEUE, context=context)
        return account.allows(request)

    assert sent("events.amazonaws.com", ACCOUNT_ID)
    assert not sent("events.amazonaws.com", "999988887777")
    assert not sent("sns.amazonaws.com", ACCOUNT_ID)
