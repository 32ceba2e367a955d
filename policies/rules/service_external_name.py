"""Service is another name for a foreign host."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="service-external-name",
    title="Service is another name for a foreign host",
    severity=Severity.MEDIUM,
    frameworks=("NSA/CISA",),
    kinds=("core/Service",),
    demand=~Is("spec.type", "ExternalName"),
    why="A route to such a Service carries the gateway's requests to wherever the name points tomorrow.",
    how="Use a ServiceEntry, which the mesh's policies cover.",
    example=Example(
        of="Service",
        fails={"spec": {"type": "ExternalName", "externalName": "db.example.net"}},
        neighbour={"metadata.labels.externalName": "no"},
    ),
)
