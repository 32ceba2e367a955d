"""AuthorizationPolicy allows every request."""

from __future__ import annotations

from policies._logic import Every, Filled, OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="mesh-allow-all",
    title="AuthorizationPolicy allows every request",
    severity=Severity.HIGH,
    frameworks=("NSA/CISA",),
    kinds=("security.istio.io/AuthorizationPolicy",),
    when=~OneOf("spec.action", ("DENY", "AUDIT", "CUSTOM")),
    demand=Every("spec.rules", Filled("from") | Filled("to") | Filled("when")),
    why="A rule without conditions allows everything and hides that the other rules no longer matter.",
    how="Say who may do what.",
    example=Example(
        of="AuthorizationPolicy", fails={"spec.rules": [{}]}, neighbour={"spec.action": "DENY", "spec.rules": [{}]}
    ),
)
