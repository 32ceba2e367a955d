"""Pod takes the priority of the cluster's own parts."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Matches
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="pod-critical-priority",
    title="pod takes the priority of the cluster's own parts",
    severity=Severity.MEDIUM,
    frameworks=("Kubernetes production practice",),
    kinds=PODS,
    scope=Scope.POD,
    demand=~Matches("priorityClassName", "^system-"),
    why="Such a pod drives out all others and is itself never driven out.",
    how="Make a PriorityClass for the platform.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.priorityClassName": "system-cluster-critical"},
        neighbour={"spec.template.spec.priorityClassName": "serving-system-high"},
    ),
)
