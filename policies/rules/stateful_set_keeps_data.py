"""Data go with the workload."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="stateful-set-keeps-data",
    title="data go with the workload",
    severity=Severity.CRITICAL,
    frameworks=("data protection",),
    kinds=("apps/StatefulSet",),
    demand=~Is("spec.persistentVolumeClaimRetentionPolicy.whenDeleted", "Delete")
    & ~Is("spec.persistentVolumeClaimRetentionPolicy.whenScaled", "Delete"),
    why="Deleting or scaling the StatefulSet would delete what it stored.",
    how="Set both policies to Retain.",
    example=Example(
        of="StatefulSet",
        fails={"spec.persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"}},
        neighbour={"spec.persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"}},
    ),
    fix={
        "spec.persistentVolumeClaimRetentionPolicy.whenDeleted": "Retain",
        "spec.persistentVolumeClaimRetentionPolicy.whenScaled": "Retain",
    },
)
