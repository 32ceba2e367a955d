"""Role may reach the nodes' own API."""

from __future__ import annotations

from policies._access import LISTS_ONLY, reaches
from policies._kinds import ROLES
from policies._logic import Every
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="role-node-proxy",
    title="role may reach the nodes' own API",
    severity=Severity.CRITICAL,
    frameworks=("CIS Kubernetes 5.1.10",),
    kinds=ROLES,
    demand=Every("rules", ~reaches("", "nodes/proxy") | LISTS_ONLY),
    why="The nodes' API runs commands in all their pods, past admission and the audit log.",
    how="Ask the metrics API for figures.",
    example=Example(
        of="ClusterRole", fails={"rules.0.resources": ["nodes/proxy"]}, neighbour={"rules.0.resources": ["nodes"]}
    ),
)
