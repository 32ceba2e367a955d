"""NetworkPolicy lets pods reach every address and port."""

from __future__ import annotations

from policies._addresses import everybody
from policies._logic import Every, Filled
from policies._model import Example, ObjectRule, Severity
from policies._ports import SINGLE_PORTS

RULE = ObjectRule(
    id="network-policy-open-egress",
    title="NetworkPolicy lets pods reach every address and port",
    severity=Severity.HIGH,
    frameworks=("CIS Kubernetes 5.3.2", "NSA/CISA"),
    kinds=("networking.k8s.io/NetworkPolicy",),
    demand=Every("spec.egress", SINGLE_PORTS | (Filled("to") & Every("to", ~everybody("ipBlock.cidr")))),
    why="Data leave through connections that nobody planned.",
    how="Name the targets, or at least the ports, each by itself.",
    example=Example(
        of="NetworkPolicy",
        fails={"spec.egress": [{}]},
        neighbour={"spec.egress": [{"ports": [{"protocol": "TCP", "port": 443}]}]},
    ),
)
