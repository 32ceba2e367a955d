"""Role may run commands in pods."""

from __future__ import annotations

from policies._access import reaches
from policies._kinds import ROLES
from policies._logic import Every
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="role-pod-exec",
    title="role may run commands in pods",
    severity=Severity.HIGH,
    frameworks=("CIS Kubernetes 5.1.4", "NSA/CISA"),
    kinds=ROLES,
    demand=Every("rules", ~reaches("", "pods/exec", "pods/attach", "pods/ephemeralcontainers")),
    why="Whoever enters a pod has its secrets and its rights.",
    how="Give people this right for a while, and workloads never.",
    example=Example(
        of="Role", fails={"rules.0.resources": ["pods/exec"]}, neighbour={"rules.0.resources": ["pods/log"]}
    ),
)
