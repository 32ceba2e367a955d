"""Binding gives rights to a default account."""

from __future__ import annotations

from policies._kinds import BINDINGS
from policies._logic import Every, Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="binding-default-account",
    title="binding gives rights to a default account",
    severity=Severity.HIGH,
    frameworks=("CIS Kubernetes 5.1.5",),
    kinds=BINDINGS,
    demand=Every("subjects", ~Is("kind", "ServiceAccount") | ~Is("name", "default")),
    why="Every pod that names no account has these rights.",
    how="Make an account for the workload.",
    example=Example(
        of="RoleBinding", fails={"subjects.0.name": "default"}, neighbour={"subjects.0.name": "default-reader"}
    ),
)
