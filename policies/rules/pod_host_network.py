"""Pod shares the node's network."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Is
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="pod-host-network",
    title="pod shares the node's network",
    severity=Severity.CRITICAL,
    frameworks=("PSS baseline", "CIS Kubernetes 5.2.5", "NSA/CISA"),
    kinds=PODS,
    scope=Scope.POD,
    demand=~Is("hostNetwork", True),
    why="Such a pod reaches everything that listens on the node's loopback, and no NetworkPolicy applies to it.",
    how="Remove hostNetwork; offer ports through a Service.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.hostNetwork": True},
        neighbour={"spec.template.spec.hostNetwork": False},
    ),
    fix={"hostNetwork": False},
)
