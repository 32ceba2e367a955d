"""Role may read all Secrets."""

from __future__ import annotations

from policies._access import reaches
from policies._kinds import ROLES
from policies._logic import Every, Filled, OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="role-reads-secrets",
    title="role may read all Secrets",
    severity=Severity.HIGH,
    frameworks=("CIS Kubernetes 5.1.2",),
    kinds=ROLES,
    demand=Every(
        "rules",
        Filled("resourceNames") | ~reaches("", "secrets") | Every("verbs", ~OneOf("", ("get", "list", "watch", "*"))),
    ),
    why="Who reads all Secrets of a namespace is everybody in it.",
    how="Name the Secrets in resourceNames.",
    example=Example(
        of="Role",
        fails={"rules.0.resources": ["secrets"]},
        neighbour={"rules.0.resources": ["secrets"], "rules.0.resourceNames": ["own"]},
    ),
)
