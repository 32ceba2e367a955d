"""Mesh accepts plain connections."""

from __future__ import annotations

from policies._logic import EveryValue, OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="mesh-mutual-tls",
    title="mesh accepts plain connections",
    severity=Severity.HIGH,
    frameworks=("NSA/CISA",),
    kinds=("security.istio.io/PeerAuthentication",),
    demand=~OneOf("spec.mtls.mode", ("PERMISSIVE", "DISABLE"))
    & EveryValue("spec.portLevelMtls", ~OneOf("mode", ("PERMISSIVE", "DISABLE"))),
    why="Anything in the cluster can then speak to the workload without saying who it is.",
    how="Set mtls.mode to STRICT, for every port.",
    example=Example(
        of="PeerAuthentication", fails={"spec.mtls.mode": "PERMISSIVE"}, neighbour={"spec.mtls.mode": "UNSET"}
    ),
    fix={"spec.mtls.mode": "STRICT"},
)
