"""Database can be deleted by mistake."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-database-deletion",
    title="database can be deleted by mistake",
    severity=Severity.HIGH,
    frameworks=("AWS FSBP RDS.8",),
    kinds=("aws:rds/Instance", "aws:rds/Cluster"),
    demand=Is("deletionProtection", True) & ~Is("skipFinalSnapshot", True),
    why="One wrong `destroy` and the experiments' history is gone.",
    how="Set deletionProtection, and leave the final snapshot on.",
    example=Example(
        of="Instance", fails={"deletionProtection": False}, neighbour={"skipFinalSnapshot": False}, needed=True
    ),
    fix={"deletionProtection": True, "skipFinalSnapshot": False},
)
