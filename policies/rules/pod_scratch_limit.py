"""Scratch space without a limit."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Every, Filled, Present
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="pod-scratch-limit",
    title="scratch space without a limit",
    severity=Severity.MEDIUM,
    frameworks=("Kubernetes production practice",),
    kinds=PODS,
    scope=Scope.POD,
    demand=Every("volumes", ~Present("emptyDir") | Filled("emptyDir.sizeLimit")),
    why="One pod can fill the node's disk, and the node then evicts others.",
    how="Set emptyDir.sizeLimit.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.volumes.0": {"name": "tmp", "emptyDir": {}}},
        neighbour={"spec.template.spec.volumes.0": {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}},
    ),
)
