"""Container does not say how much CPU it needs."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Filled
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="container-cpu-request",
    title="container does not say how much CPU it needs",
    severity=Severity.MEDIUM,
    frameworks=("NSA/CISA",),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=Filled("resources.requests.cpu"),
    why="Without a request it gets next to nothing as soon as the node is busy, and autoscaling has "
    "nothing to compare with.",
    how="Set resources.requests.cpu.",
    example=Example(
        of="CronJob",
        fails={"spec.jobTemplate.spec.template.spec.containers.0.resources.requests.cpu": None},
        passes={"spec.jobTemplate.spec.template.spec.containers.0.resources.requests.cpu": "100m"},
        neighbour={"spec.jobTemplate.spec.template.spec.containers.0.resources.requests.cpu": "1m"},
        needed=True,
    ),
)
