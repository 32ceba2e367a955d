"""NetworkPolicy lets everybody in."""

from __future__ import annotations

from policies._logic import Every, Filled, OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="network-policy-open-ingress",
    title="NetworkPolicy lets everybody in",
    severity=Severity.HIGH,
    frameworks=("CIS Kubernetes 5.3.2", "NSA/CISA"),
    kinds=("networking.k8s.io/NetworkPolicy",),
    demand=Every("spec.ingress", Filled("from") & Every("from", ~OneOf("ipBlock.cidr", ("0.0.0.0/0", "::/0")))),
    why="A rule without `from` allows every pod of every namespace and every address.",
    how="Name the pods that may call.",
    example=Example(
        of="NetworkPolicy",
        fails={"spec.ingress": [{"ports": [{"port": 80}]}]},
        neighbour={"spec.ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]},
    ),
)
