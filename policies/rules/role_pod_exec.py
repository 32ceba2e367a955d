"""Role may run commands in pods."""

from __future__ import annotations

from policies._access import LISTS_ONLY, READS_ONLY, reaches
from policies._kinds import ROLES
from policies._logic import Every
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="role-pod-exec",
    title="role may run commands in pods",
    severity=Severity.HIGH,
    frameworks=("CIS Kubernetes 5.1.4", "NSA/CISA"),
    kinds=ROLES,
    # A command is run by `get` too, over a WebSocket; an ephemeral container comes by a change of its pod.
    demand=Every(
        "rules",
        (~reaches("", "pods/exec", "pods/attach") | LISTS_ONLY)
        & (~reaches("", "pods/ephemeralcontainers") | READS_ONLY),
    ),
    why="Whoever enters a pod has its secrets and its rights.",
    how="Give people this right for a while, and workloads never.",
    example=Example(
        of="Role", fails={"rules.0.resources": ["pods/exec"]}, neighbour={"rules.0.resources": ["pods/log"]}
    ),
)
