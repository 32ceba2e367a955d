"""Mesh calls a service in plain text."""

from __future__ import annotations

from policies._logic import Every, Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="mesh-client-tls",
    title="mesh calls a service in plain text",
    severity=Severity.MEDIUM,
    frameworks=("NSA/CISA",),
    kinds=("networking.istio.io/DestinationRule",),
    demand=~Is("spec.trafficPolicy.tls.mode", "DISABLE")
    & Every("spec.trafficPolicy.portLevelSettings", ~Is("tls.mode", "DISABLE"))
    & Every(
        "spec.subsets",
        ~Is("trafficPolicy.tls.mode", "DISABLE") & Every("trafficPolicy.portLevelSettings", ~Is("tls.mode", "DISABLE")),
    ),
    why="The connection is neither encrypted nor authenticated, whatever the other side offers.",
    how="Remove tls.mode or set ISTIO_MUTUAL, for every port and subset.",
    example=Example(
        of="DestinationRule",
        fails={"spec.trafficPolicy.tls.mode": "DISABLE"},
        neighbour={"spec.trafficPolicy.tls.mode": "SIMPLE"},
    ),
)
