"""Route lets pages of any site read answers."""

from __future__ import annotations

from policies._logic import Every, Is, OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="route-cors-any-origin",
    title="route lets pages of any site read answers",
    severity=Severity.MEDIUM,
    frameworks=("OWASP ASVS 14.5",),
    kinds=("networking.istio.io/VirtualService",),
    demand=Every(
        "spec.http",
        Every("corsPolicy.allowOrigins", ~Is("exact", "*") & ~Is("prefix", "") & ~OneOf("regex", (".*", "^.*$"))),
    ),
    why="A page that somebody visits could ask the API in their name.",
    how="Name the origins.",
    example=Example(
        of="VirtualService",
        fails={"spec.http.0.corsPolicy": {"allowOrigins": [{"exact": "*"}]}},
        neighbour={"spec.http.0.corsPolicy": {"allowOrigins": [{"exact": "https://example.org"}]}},
    ),
)
