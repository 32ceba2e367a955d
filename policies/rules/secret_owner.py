"""Secret does not say whose it is."""

from __future__ import annotations

from policies._logic import Filled
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="secret-owner",
    title="Secret does not say whose it is",
    severity=Severity.MEDIUM,
    frameworks=("CIS Kubernetes 5.4.1",),
    kinds=("core/Secret",),
    demand=Filled("metadata.labels[app.kubernetes.io/name]") & Filled("metadata.labels[app.kubernetes.io/managed-by]"),
    why="A secret without an owner is never rotated and never removed.",
    how="Label it with app.kubernetes.io/name and app.kubernetes.io/managed-by.",
    example=Example(
        of="Secret",
        fails={"metadata.labels[app.kubernetes.io/name]": ""},
        neighbour={"metadata.labels[app.kubernetes.io/name]": "other"},
        needed=True,
    ),
)
