"""Secrets of the cluster are not encrypted with an own key."""

from __future__ import annotations

from policies._logic import Is, Some
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-cluster-secrets",
    title="secrets of the cluster are not encrypted with an own key",
    severity=Severity.MEDIUM,
    frameworks=("AWS FSBP EKS.3", "CIS EKS 5.3.1"),
    kinds=("aws:eks/Cluster",),
    demand=Some("encryptionConfig.resources", Is("", "secrets")),
    why="Without envelope encryption the right to read the store is the right to read all Secrets.",
    how="Set encryptionConfig with a KMS key for secrets.",
    example=Example(
        of="Cluster",
        fails={"encryptionConfig.resources": []},
        neighbour={"encryptionConfig.provider.keyArn": "arn:aws:kms:eu-west-1:111122223333:key/2"},
        needed=True,
    ),
)
