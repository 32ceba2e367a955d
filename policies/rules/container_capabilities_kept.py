"""Container keeps capabilities of root."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Is, Some
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="container-capabilities-kept",
    title="container keeps capabilities of root",
    severity=Severity.HIGH,
    frameworks=("PSS restricted", "CIS Kubernetes 5.2.10", "NSA/CISA"),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=Some("securityContext.capabilities.drop", Is("", "ALL")),
    why="The default set allows forged network packets, changed owners of files and more, of which a "
    "server needs nothing.",
    how="Drop ALL, then add what is needed.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.containers.0.securityContext.capabilities.drop": ["NET_RAW"]},
        neighbour={"spec.template.spec.containers.0.securityContext.capabilities.drop": ["NET_RAW", "ALL"]},
        needed=True,
    ),
    fix={"securityContext.capabilities.drop": ["ALL"]},
)
