"""Image must already be on the node."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Is
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="image-pull-policy",
    title="image must already be on the node",
    severity=Severity.LOW,
    frameworks=("CIS Kubernetes 5.5.1",),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=~Is("imagePullPolicy", "Never"),
    why="What lies on the node under this name was not checked by any registry, and other nodes do not have it.",
    how="Set imagePullPolicy to IfNotPresent.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.containers.0.imagePullPolicy": "Never"},
        neighbour={"spec.template.spec.containers.0.imagePullPolicy": "Always"},
    ),
    fix={"imagePullPolicy": "IfNotPresent"},
)
