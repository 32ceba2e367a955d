"""Namespace does not enforce Pod Security."""

from __future__ import annotations

from policies._logic import Matches, OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="namespace-pod-security",
    title="namespace does not enforce Pod Security",
    severity=Severity.HIGH,
    frameworks=("PSS restricted", "CIS Kubernetes 5.2.1"),
    kinds=("core/Namespace",),
    demand=OneOf("metadata.labels[pod-security.kubernetes.io/enforce]", ("restricted", "baseline"))
    | Matches("metadata.name", "^(kube-.*|default)$"),
    why="The API server itself then refuses pods that break out, whoever makes them.",
    how="Label it pod-security.kubernetes.io/enforce: restricted.",
    example=Example(
        of="Namespace",
        fails={"metadata.labels[pod-security.kubernetes.io/enforce]": "privileged"},
        neighbour={"metadata.labels[pod-security.kubernetes.io/enforce]": "baseline"},
        needed=True,
    ),
)
