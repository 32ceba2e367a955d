"""Database's backups do not reach back a week."""

from __future__ import annotations

from policies._logic import AtLeast, Setting
from policies._model import Example, ObjectRule, SettingRule, Severity

RULE = ObjectRule(
    id="aws-database-backups",
    title="database's backups do not reach back a week",
    severity=Severity.HIGH,
    frameworks=("AWS FSBP RDS.11",),
    kinds=("aws:rds/Instance", "aws:rds/Cluster"),
    demand=AtLeast("backupRetentionPeriod", Setting("days")),
    settings={"days": SettingRule(kind="number", default=7, meaning="least days that backups are kept")},
    why="Damage is often noticed after the weekend.",
    how="Set backupRetentionPeriod to 7 or more.",
    example=Example(
        of="Instance", fails={"backupRetentionPeriod": 1}, neighbour={"backupRetentionPeriod": 7}, needed=True
    ),
)
