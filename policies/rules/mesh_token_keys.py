"""Keys of tokens are fetched without TLS."""

from __future__ import annotations

from policies._logic import Every, Present, StartsWithOneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="mesh-token-keys",
    title="keys of tokens are fetched without TLS",
    severity=Severity.HIGH,
    frameworks=("OWASP ASVS 9.2",),
    kinds=("security.istio.io/RequestAuthentication",),
    demand=Every("spec.jwtRules", ~Present("jwksUri") | StartsWithOneOf("jwksUri", ("https://",))),
    why="Who changes the answer on the way signs tokens that are believed.",
    how="Use an https address.",
    example=Example(
        of="RequestAuthentication",
        fails={"spec.jwtRules.0.jwksUri": "http://issuer.example.org/keys"},
        neighbour={"spec.jwtRules.0.jwksUri": "https://issuer.example.org/http://keys"},
    ),
)
