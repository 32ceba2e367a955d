"""Pod gets a token of the default account."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Filled, Is
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="pod-account-token",
    title="pod gets a token of the default account",
    severity=Severity.HIGH,
    frameworks=("CIS Kubernetes 5.1.6", "CIS Kubernetes 5.1.5", "NSA/CISA"),
    kinds=PODS,
    scope=Scope.POD,
    demand=Is("automountServiceAccountToken", False)
    | (Is("automountServiceAccountToken", True) & Filled("serviceAccountName") & ~Is("serviceAccountName", "default")),
    why="A token that nobody uses is only useful to somebody who broke in; rights of the default "
    "account belong to everybody.",
    how="Set automountServiceAccountToken to false, or to true together with an account of the workload's own.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.automountServiceAccountToken": True},
        neighbour={
            "spec.template.spec.automountServiceAccountToken": True,
            "spec.template.spec.serviceAccountName": "controller",
        },
        needed=True,
    ),
    fix={"automountServiceAccountToken": False},
)
