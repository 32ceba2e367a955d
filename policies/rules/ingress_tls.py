"""Ingress answers without TLS."""

from __future__ import annotations

from policies._logic import Filled
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="ingress-tls",
    title="Ingress answers without TLS",
    severity=Severity.HIGH,
    frameworks=("NSA/CISA",),
    kinds=("networking.k8s.io/Ingress",),
    demand=Filled("spec.tls"),
    why="Tokens and predictions can be read and changed on the way.",
    how="Name a certificate in spec.tls.",
    example=Example(
        of="Ingress",
        fails={"spec.tls": []},
        neighbour={"spec.tls": [{"hosts": ["a.example.org", "b.example.org"], "secretName": "tls"}]},
        needed=True,
    ),
)
