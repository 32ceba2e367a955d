"""Container can change its own image's files."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Is
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="container-writable-root",
    title="container can change its own image's files",
    severity=Severity.MEDIUM,
    frameworks=("NSA/CISA",),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=Is("securityContext.readOnlyRootFilesystem", True),
    why="Who breaks in cannot leave programs behind or change those that are there, if the files are read-only.",
    how="Set readOnlyRootFilesystem and mount an emptyDir where something must be written.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.containers.0.securityContext.readOnlyRootFilesystem": False},
        neighbour={"spec.template.spec.volumes.0": {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}},
        needed=True,
    ),
)
