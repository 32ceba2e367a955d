"""Role allows every action."""

from __future__ import annotations

from policies._kinds import ROLES
from policies._logic import Every, Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="role-wildcard-verbs",
    title="role allows every action",
    severity=Severity.CRITICAL,
    frameworks=("CIS Kubernetes 5.1.3", "NSA/CISA"),
    kinds=ROLES,
    demand=Every("rules", Every("verbs", ~Is("", "*"))),
    why="It includes actions that do not exist yet, and deletion.",
    how="Name the actions.",
    example=Example(of="Role", fails={"rules.0.verbs": ["*"]}, neighbour={"rules.0.verbs": ["get", "list", "watch"]}),
)
