"""Pod's system calls are not filtered."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Every, Is, OneOf
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="pod-seccomp-profile",
    title="pod's system calls are not filtered",
    severity=Severity.MEDIUM,
    frameworks=("PSS restricted", "CIS Kubernetes 5.7.2", "NSA/CISA"),
    kinds=PODS,
    scope=Scope.POD,
    demand=(
        OneOf("securityContext.seccompProfile.type", ("RuntimeDefault", "Localhost"))
        & Every("containers", ~Is("securityContext.seccompProfile.type", "Unconfined"))
        & Every("initContainers", ~Is("securityContext.seccompProfile.type", "Unconfined"))
    )
    | (
        Every("containers", OneOf("securityContext.seccompProfile.type", ("RuntimeDefault", "Localhost")))
        & Every("initContainers", OneOf("securityContext.seccompProfile.type", ("RuntimeDefault", "Localhost")))
    ),
    why="Most escapes from containers use system calls that no server needs; the default profile refuses them.",
    how="Set seccompProfile.type of the pod to RuntimeDefault.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.securityContext.seccompProfile.type": "Unconfined"},
        neighbour={
            "spec.template.spec.securityContext.seccompProfile": {
                "type": "Localhost",
                "localhostProfile": "server.json",
            }
        },
        needed=True,
    ),
    fix={"securityContext.seccompProfile.type": "RuntimeDefault"},
)
