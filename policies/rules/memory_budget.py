"""Container asks for more memory than the budget allows."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import AmountAtMost, Present, Setting
from policies._model import Example, ObjectRule, Scope, SettingRule, Severity

RULE = ObjectRule(
    id="memory-budget",
    title="container asks for more memory than the budget allows",
    severity=Severity.LOW,
    frameworks=("cost",),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=~Present("resources.requests.memory") | AmountAtMost("resources.requests.memory", Setting("most")),
    settings={"most": SettingRule(kind="amount", default="64Gi", meaning="most memory that one container asks for")},
    why="The autoscaler of the cluster buys a node that is large enough.",
    how="Ask for less, or raise `most` in the configuration.",
    example=Example(
        of="Deployment",
        fails={
            "spec.template.spec.containers.0.resources.limits.memory": "512Gi",
            "spec.template.spec.containers.0.resources.requests.memory": "512Gi",
        },
        neighbour={
            "spec.template.spec.containers.0.resources.requests.memory": "65536Mi",
            "spec.template.spec.containers.0.resources.limits.memory": "64Gi",
        },
    ),
)
