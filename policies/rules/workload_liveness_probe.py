"""Container that hangs is not restarted."""

from __future__ import annotations

from policies._kinds import SCALED
from policies._logic import Present
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="workload-liveness-probe",
    title="container that hangs is not restarted",
    severity=Severity.MEDIUM,
    frameworks=("Kubernetes production practice",),
    kinds=SCALED,
    scope=Scope.SERVERS,
    demand=Present("livenessProbe"),
    why="A process that no longer answers stays until a person notices.",
    how="Give the container a livenessProbe that fails only when a restart helps.",
    example=Example(
        of="StatefulSet",
        fails={"spec.template.spec.containers.0.livenessProbe": None},
        passes={"spec.template.spec.containers.0.livenessProbe": {"tcpSocket": {"port": 8080}}},
        neighbour={"spec.template.spec.containers.0.livenessProbe": {"exec": {"command": ["true"]}}},
        needed=True,
    ),
)
