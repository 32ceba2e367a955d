"""Container takes a port of the node."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import AtLeast, Every
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="container-host-port",
    title="container takes a port of the node",
    severity=Severity.HIGH,
    frameworks=("PSS baseline", "CIS Kubernetes 5.2.13"),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=Every("ports", ~AtLeast("hostPort", 1)),
    why="A port of the node is reachable past Services and policies, and only one pod per node can have it.",
    how="Offer the port through a Service.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.containers.0.ports.0.hostPort": 8080},
        neighbour={"spec.template.spec.containers.0.ports.0.containerPort": 9090},
    ),
)
