"""Gateway answers without TLS."""

from __future__ import annotations

from policies._logic import Every, Is, OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="gateway-tls",
    title="Gateway answers without TLS",
    severity=Severity.HIGH,
    frameworks=("NSA/CISA",),
    kinds=("networking.istio.io/Gateway",),
    demand=Every("spec.servers", OneOf("port.protocol", ("HTTPS", "TLS")) | Is("tls.httpsRedirect", True)),
    why="Tokens and predictions can be read and changed on the way.",
    how="Offer HTTPS, and on port 80 a redirect only.",
    example=Example(
        of="Gateway",
        fails={"spec.servers.0.port": {"name": "http", "number": 80, "protocol": "HTTP"}},
        neighbour={
            "spec.servers.0.port": {"name": "http", "number": 80, "protocol": "HTTP"},
            "spec.servers.0.tls": {"httpsRedirect": True},
        },
        needed=True,
    ),
)
