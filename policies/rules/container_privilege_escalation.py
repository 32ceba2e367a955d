"""Container does not forbid gaining privileges."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Is
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="container-privilege-escalation",
    title="container does not forbid gaining privileges",
    severity=Severity.HIGH,
    frameworks=("PSS restricted", "CIS Kubernetes 5.2.6", "NSA/CISA"),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=Is("securityContext.allowPrivilegeEscalation", False),
    why="Without the prohibition a set-uid program in the image makes a process more powerful than its container.",
    how="Set securityContext.allowPrivilegeEscalation to false.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.containers.0.securityContext.allowPrivilegeEscalation": True},
        neighbour={"spec.template.spec.containers.0.securityContext.privileged": False},
        needed=True,
    ),
    fix={"securityContext.allowPrivilegeEscalation": False},
)
