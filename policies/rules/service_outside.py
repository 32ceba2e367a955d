"""Service opens a port outside the mesh's gateway."""

from __future__ import annotations

from policies._logic import OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="service-outside",
    title="Service opens a port outside the mesh's gateway",
    severity=Severity.HIGH,
    frameworks=("NSA/CISA",),
    kinds=("core/Service",),
    demand=~OneOf("spec.type", ("NodePort", "LoadBalancer")),
    why="Requests then come past the gateway: without TLS, authentication and the experiment's split.",
    how="Use a ClusterIP Service and a route of the gateway.",
    example=Example(of="Service", fails={"spec.type": "LoadBalancer"}, neighbour={"spec.type": "ClusterIP"}),
)
