"""NetworkPolicy lets pods reach every address and port."""

from __future__ import annotations

from policies._logic import Every, Filled, OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="network-policy-open-egress",
    title="NetworkPolicy lets pods reach every address and port",
    severity=Severity.HIGH,
    frameworks=("CIS Kubernetes 5.3.2", "NSA/CISA"),
    kinds=("networking.k8s.io/NetworkPolicy",),
    demand=Every(
        "spec.egress",
        Filled("ports") | (Filled("to") & Every("to", ~OneOf("ipBlock.cidr", ("0.0.0.0/0", "::/0")))),
    ),
    why="Data leave through connections that nobody planned.",
    how="Name the targets, or at least the ports.",
    example=Example(
        of="NetworkPolicy",
        fails={"spec.egress": [{}]},
        neighbour={"spec.egress": [{"ports": [{"protocol": "TCP", "port": 443}]}]},
    ),
)
