"""Container has no memory limit."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Filled
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="container-memory-limit",
    title="container has no memory limit",
    severity=Severity.HIGH,
    frameworks=("NSA/CISA",),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=Filled("resources.limits.memory"),
    why="A leak in one container makes the node kill others.",
    how="Set resources.limits.memory.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.containers.0.resources.limits.memory": None},
        passes={"spec.template.spec.containers.0.resources.limits.memory": "512Mi"},
        neighbour={"spec.template.spec.containers.0.resources.limits": {"memory": "64Gi", "cpu": "4"}},
        needed=True,
    ),
)
