"""Pod gets variables about all Services of its namespace."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Is
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="pod-service-links",
    title="pod gets variables about all Services of its namespace",
    severity=Severity.LOW,
    frameworks=("Kubernetes production practice",),
    kinds=PODS,
    scope=Scope.POD,
    demand=Is("enableServiceLinks", False),
    why="Names such as MLFLOW_PORT appear from nowhere and are taken for configuration; old Services stay visible.",
    how="Set enableServiceLinks to false.",
    example=Example(
        of="Job",
        fails={"spec.template.spec.enableServiceLinks": True},
        neighbour={"spec.template.spec.dnsPolicy": "ClusterFirst"},
        needed=True,
    ),
    fix={"enableServiceLinks": False},
)
