"""Role allows access to every kind."""

from __future__ import annotations

from policies._kinds import ROLES
from policies._logic import Every, Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="role-wildcard-resources",
    title="role allows access to every kind",
    severity=Severity.CRITICAL,
    frameworks=("CIS Kubernetes 5.1.3", "NSA/CISA"),
    kinds=ROLES,
    demand=Every("rules", Every("resources", ~Is("", "*")) & Every("apiGroups", ~Is("", "*"))),
    why="It includes Secrets and kinds that will be installed later.",
    how="Name the kinds and their groups.",
    example=Example(
        of="ClusterRole", fails={"rules.0.resources": ["*"]}, neighbour={"rules.0.resources": ["pods", "services"]}
    ),
)
