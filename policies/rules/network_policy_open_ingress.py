"""NetworkPolicy lets everybody in."""

from __future__ import annotations

from policies._addresses import everybody
from policies._logic import Every, Filled, Present
from policies._model import Example, ObjectRule, Severity
from policies._ports import SINGLE_PORTS

# Labels of pods narrow every namespace to those who bear them, as metrics are read and gateways call.
_EVERY_POD = (
    Present("namespaceSelector")
    & ~Filled("namespaceSelector.matchLabels")
    & ~Filled("namespaceSelector.matchExpressions")
    & ~Filled("podSelector.matchLabels")
    & ~Filled("podSelector.matchExpressions")
)

RULE = ObjectRule(
    id="network-policy-open-ingress",
    title="NetworkPolicy lets everybody in",
    severity=Severity.HIGH,
    frameworks=("CIS Kubernetes 5.3.2", "NSA/CISA"),
    kinds=("networking.k8s.io/NetworkPolicy",),
    # To every pod go single ports only, as a server of names has them; to every address, none.
    demand=Every(
        "spec.ingress",
        Filled("from") & Every("from", ~everybody("ipBlock.cidr")) & (SINGLE_PORTS | Every("from", ~_EVERY_POD)),
    ),
    why="A rule without `from` allows every pod and every address; `namespaceSelector: {}` all pods.",
    how="Name the pods that may call. A namespaceSelector may mean every namespace with labels of pods beside it, or "
    "where the rule names its ports, each by itself.",
    example=Example(
        of="NetworkPolicy",
        fails={"spec.ingress": [{"ports": [{"port": 80}]}]},
        neighbour={"spec.ingress": [{"from": [{"namespaceSelector": {}}], "ports": [{"protocol": "UDP", "port": 53}]}]},
    ),
)
