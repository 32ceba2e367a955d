"""Binding hands out all rights."""

from __future__ import annotations

from policies._kinds import BINDINGS
from policies._logic import OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="binding-cluster-admin",
    title="binding hands out all rights",
    severity=Severity.CRITICAL,
    frameworks=("CIS Kubernetes 5.1.1", "NSA/CISA"),
    kinds=BINDINGS,
    demand=~OneOf("roleRef.name", ("cluster-admin", "admin", "system:masters")),
    why="An account with all rights makes every mistake and every break-in complete.",
    how="Write a role with the rights that are used.",
    example=Example(
        of="ClusterRoleBinding",
        fails={"roleRef.name": "cluster-admin"},
        neighbour={"roleRef.name": "cluster-admin-reader"},
    ),
)
