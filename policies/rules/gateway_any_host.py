"""Gateway answers for every host."""

from __future__ import annotations

from policies._logic import Every, OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="gateway-any-host",
    title="Gateway answers for every host",
    severity=Severity.MEDIUM,
    frameworks=("NSA/CISA",),
    kinds=("networking.istio.io/Gateway",),
    demand=Every("spec.servers", Every("hosts", ~OneOf("", ("*", "*/*", "./*")))),
    why="Any namespace can then attach a route to it, and requests with forged hosts are answered.",
    how="Name the hosts.",
    example=Example(
        of="Gateway", fails={"spec.servers.0.hosts": ["*"]}, neighbour={"spec.servers.0.hosts": ["./*.example.org"]}
    ),
)
