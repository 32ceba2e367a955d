"""Role may give itself more rights."""

from __future__ import annotations

from policies._kinds import ROLES
from policies._logic import Every, OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="role-escalation",
    title="role may give itself more rights",
    severity=Severity.CRITICAL,
    frameworks=("CIS Kubernetes 5.1.8",),
    kinds=ROLES,
    demand=Every("rules", Every("verbs", ~OneOf("", ("escalate", "bind", "impersonate")))),
    why="These three actions lead to any right there is.",
    how="Let the deployment make roles and bindings, not a workload.",
    example=Example(
        of="ClusterRole",
        fails={"rules.0.verbs": ["get", "impersonate"]},
        neighbour={"rules.0.verbs": ["get", "create"]},
    ),
)
