"""Pod sees the node's processes."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Is
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="pod-host-pid",
    title="pod sees the node's processes",
    severity=Severity.CRITICAL,
    frameworks=("PSS baseline", "CIS Kubernetes 5.2.3", "NSA/CISA"),
    kinds=PODS,
    scope=Scope.POD,
    demand=~Is("hostPID", True),
    why="Environments and arguments of every process of the node, secrets among them, are readable from the pod.",
    how="Remove hostPID; use shareProcessNamespace where containers of one pod must see each other.",
    example=Example(
        of="StatefulSet",
        fails={"spec.template.spec.hostPID": True},
        neighbour={"spec.template.spec.shareProcessNamespace": True},
    ),
    fix={"hostPID": False},
)
