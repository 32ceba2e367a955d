"""Container is privileged."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Is
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="container-privileged",
    title="container is privileged",
    severity=Severity.CRITICAL,
    frameworks=("PSS baseline", "CIS Kubernetes 5.2.2", "NSA/CISA"),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=~Is("securityContext.privileged", True),
    why="A privileged container is root on its node.",
    how="Remove privileged; name the one capability that is needed.",
    example=Example(
        of="Deployment",
        fails={
            "spec.template.spec.containers.0.securityContext.allowPrivilegeEscalation": True,
            "spec.template.spec.containers.0.securityContext.privileged": True,
        },
        neighbour={"spec.template.spec.containers.0.securityContext.privileged": False},
    ),
    fix={"securityContext.privileged": False},
)
