"""Database has a public address."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-database-public",
    title="database has a public address",
    severity=Severity.CRITICAL,
    frameworks=("AWS FSBP RDS.2",),
    kinds=("aws:rds/Instance",),
    demand=~Is("publiclyAccessible", True),
    why="Only its password stands between the data and everybody.",
    how="Set publiclyAccessible to false.",
    example=Example(of="Instance", fails={"publiclyAccessible": True}, neighbour={"dbSubnetGroupName": "public"}),
    fix={"publiclyAccessible": False},
)
