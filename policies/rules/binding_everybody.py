"""Binding gives rights to everybody."""

from __future__ import annotations

from policies._kinds import BINDINGS
from policies._logic import Every, OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="binding-everybody",
    title="binding gives rights to everybody",
    severity=Severity.CRITICAL,
    frameworks=("CIS Kubernetes 5.1.1", "CIS Kubernetes 5.1.7"),
    kinds=BINDINGS,
    demand=Every(
        "subjects",
        ~OneOf(
            "name",
            (
                "system:anonymous",
                "system:unauthenticated",
                "system:authenticated",
                "system:serviceaccounts",
                "system:masters",
            ),
        ),
    ),
    why="These groups have members that nobody chose.",
    how="Bind accounts by name.",
    example=Example(
        of="RoleBinding",
        fails={
            "subjects.0": {"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"}
        },
        neighbour={"subjects.0": {"kind": "Group", "name": "research", "apiGroup": "rbac.authorization.k8s.io"}},
    ),
)
