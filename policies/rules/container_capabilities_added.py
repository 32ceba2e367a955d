"""Container gets capabilities beyond low ports."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Every, Is
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="container-capabilities-added",
    title="container gets capabilities beyond low ports",
    severity=Severity.HIGH,
    frameworks=("PSS restricted", "CIS Kubernetes 5.2.9"),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=Every("securityContext.capabilities.add", Is("", "NET_BIND_SERVICE")),
    why="Each capability is a part of root's power; SYS_ADMIN is nearly all of it.",
    how="Remove what is added, or use a high port.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.containers.0.securityContext.capabilities.add": ["SYS_ADMIN"]},
        neighbour={"spec.template.spec.containers.0.securityContext.capabilities.add": ["NET_BIND_SERVICE"]},
    ),
)
