"""Database stops with one zone."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-database-zones",
    title="database stops with one zone",
    severity=Severity.MEDIUM,
    frameworks=("AWS FSBP RDS.5",),
    kinds=("aws:rds/Instance",),
    demand=Is("multiAz", True),
    why="A zone that fails takes tracking, the API and all experiments with it.",
    how="Set multiAz to true.",
    example=Example(of="Instance", fails={"multiAz": False}, neighbour={"availabilityZone": None}, needed=True),
)
