"""Set of pods that nobody rolls out."""

from __future__ import annotations

from policies._logic import Filled
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="replica-set-by-hand",
    title="set of pods is written by hand instead of by a Deployment",
    severity=Severity.HIGH,
    frameworks=("Kubernetes production practice",),
    kinds=("apps/ReplicaSet", "core/ReplicationController"),
    demand=Filled("metadata.ownerReferences"),
    why="A change of it reaches no running pod, and rules about workloads do not see its pods before they start.",
    how="Write a Deployment.",
    example=Example(
        of="ReplicaSet",
        fails={"metadata.ownerReferences": []},
        neighbour={"metadata.ownerReferences.0.name": "other"},
        needed=True,
    ),
)
