"""Container sees the unmasked /proc."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Is, Present
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="container-proc-mount",
    title="container sees the unmasked /proc",
    severity=Severity.HIGH,
    frameworks=("PSS baseline",),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=~Present("securityContext.procMount") | Is("securityContext.procMount", "Default"),
    why="The masked parts of /proc tell about the node and change it.",
    how="Remove procMount.",
    example=Example(
        of="Deployment",
        fails={
            "spec.template.spec.hostUsers": False,
            "spec.template.spec.containers.0.securityContext.procMount": "Unmasked",
        },
        neighbour={"spec.template.spec.containers.0.securityContext.procMount": "Default"},
    ),
    fix={"securityContext.procMount": "Default"},
)
