"""Secret is mounted readable for every user."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Every, OneOf, Present
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="pod-secret-mode",
    title="Secret is mounted readable for every user",
    severity=Severity.MEDIUM,
    frameworks=("CIS Kubernetes 5.4.1",),
    kinds=PODS,
    scope=Scope.POD,
    demand=Every("volumes", ~Present("secret") | OneOf("secret.defaultMode", (256, 288))),
    why="The default mode 0644 shows the secret to every process of the pod, whatever its user.",
    how="Set secret.defaultMode to 0400 or 0440.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.volumes.0": {"name": "key", "secret": {"secretName": "key", "defaultMode": 420}}},
        neighbour={
            "spec.template.spec.volumes.0": {"name": "key", "secret": {"secretName": "key", "defaultMode": 288}}
        },
    ),
)
