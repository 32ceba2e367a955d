"""Container does not say how much memory it needs."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Filled
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="container-memory-request",
    title="container does not say how much memory it needs",
    severity=Severity.MEDIUM,
    frameworks=("NSA/CISA",),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=Filled("resources.requests.memory"),
    why="The scheduler then fills nodes until containers are killed.",
    how="Set resources.requests.memory to what the container uses.",
    example=Example(
        of="StatefulSet",
        fails={"spec.template.spec.containers.0.resources.requests.memory": None},
        passes={"spec.template.spec.containers.0.resources.requests.memory": "256Mi"},
        neighbour={"spec.template.spec.containers.0.resources.requests.memory": "1Mi"},
        needed=True,
    ),
)
