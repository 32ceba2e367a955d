"""Service takes over an address."""

from __future__ import annotations

from policies._logic import Filled
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="service-external-ip",
    title="Service takes over an address",
    severity=Severity.HIGH,
    frameworks=("CVE-2020-8554",),
    kinds=("core/Service",),
    demand=~Filled("spec.externalIPs"),
    why="Who may make such a Service receives what the cluster sends to that address.",
    how="Remove externalIPs.",
    example=Example(
        of="Service", fails={"spec.externalIPs": ["192.0.2.1"]}, neighbour={"spec.ports": [{"port": 8080}]}
    ),
)
