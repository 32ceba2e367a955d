"""Database is not encrypted."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-database-encrypted",
    title="database is not encrypted",
    severity=Severity.HIGH,
    frameworks=("AWS FSBP RDS.3",),
    kinds=("aws:rds/Instance", "aws:rds/Cluster"),
    demand=Is("storageEncrypted", True),
    why="Snapshots and returned disks are readable for whoever gets them; encryption cannot be added later.",
    how="Set storageEncrypted to true.",
    example=Example(of="Instance", fails={"storageEncrypted": False}, neighbour={"kmsKeyId": "key"}, needed=True),
)
