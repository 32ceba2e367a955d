"""Pod names user 0."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Every, Is
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="pod-root-user",
    title="pod names user 0",
    severity=Severity.HIGH,
    frameworks=("PSS restricted", "CIS Kubernetes 5.2.7"),
    kinds=PODS,
    scope=Scope.POD,
    demand=~Is("securityContext.runAsUser", 0)
    & Every("containers", ~Is("securityContext.runAsUser", 0))
    & Every("initContainers", ~Is("securityContext.runAsUser", 0)),
    why="User 0 is root; with runAsNonRoot the pod does not even start.",
    how="Name a user above 0.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.securityContext.runAsUser": 0},
        neighbour={
            "spec.template.spec.securityContext.runAsUser": 1000,
            "spec.template.spec.securityContext.fsGroup": 0,
        },
    ),
)
