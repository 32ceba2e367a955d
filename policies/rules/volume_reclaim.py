"""Volume is erased with its claim."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="volume-reclaim",
    title="volume is erased with its claim",
    severity=Severity.HIGH,
    frameworks=("data protection",),
    kinds=("core/PersistentVolume",),
    demand=Is("spec.persistentVolumeReclaimPolicy", "Retain"),
    why="A deleted claim, by mistake or by a deleted namespace, takes the data with it.",
    how="Set persistentVolumeReclaimPolicy to Retain.",
    example=Example(
        of="PersistentVolume",
        fails={"spec.persistentVolumeReclaimPolicy": "Delete"},
        neighbour={"spec.capacity.storage": "5Gi"},
        needed=True,
    ),
    fix={"spec.persistentVolumeReclaimPolicy": "Retain"},
)
