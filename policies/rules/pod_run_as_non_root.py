"""Pod may run as root."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Every, Is
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="pod-run-as-non-root",
    title="pod may run as root",
    severity=Severity.HIGH,
    frameworks=("PSS restricted", "CIS Kubernetes 5.2.7", "NSA/CISA"),
    kinds=PODS,
    scope=Scope.POD,
    demand=(
        Is("securityContext.runAsNonRoot", True)
        & Every("containers", ~Is("securityContext.runAsNonRoot", False))
        & Every("initContainers", ~Is("securityContext.runAsNonRoot", False))
    )
    | (
        Every("containers", Is("securityContext.runAsNonRoot", True))
        & Every("initContainers", Is("securityContext.runAsNonRoot", True))
    ),
    why="Root in a container is root on the node as soon as anything of the isolation fails.",
    how="Set runAsNonRoot in the pod's securityContext and build the image for a numeric user.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.securityContext.runAsNonRoot": False},
        neighbour={
            "spec.template.spec.securityContext.runAsNonRoot": False,
            "spec.template.spec.containers.0.securityContext.runAsNonRoot": True,
        },
        needed=True,
    ),
    fix={"securityContext.runAsNonRoot": True},
)
