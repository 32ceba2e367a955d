"""Disk is not encrypted."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-volume-encrypted",
    title="disk is not encrypted",
    severity=Severity.HIGH,
    frameworks=("AWS FSBP EC2.3",),
    kinds=("aws:ebs/Volume",),
    demand=Is("encrypted", True),
    why="Snapshots and returned disks are readable for whoever gets them.",
    how="Set encrypted to true.",
    example=Example(of="Volume", fails={"encrypted": False}, neighbour={"size": 8}, needed=True),
)
