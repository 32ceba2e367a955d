"""Container asks for more CPU than the budget allows."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import AmountAtMost, Present, Setting
from policies._model import Example, ObjectRule, Scope, SettingRule, Severity

RULE = ObjectRule(
    id="cpu-budget",
    title="container asks for more CPU than the budget allows",
    severity=Severity.LOW,
    frameworks=("cost",),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=~Present("resources.requests.cpu") | AmountAtMost("resources.requests.cpu", Setting("most")),
    settings={"most": SettingRule(kind="amount", default="32", meaning="most cores that one container asks for")},
    why="The autoscaler of the cluster buys a node that is large enough.",
    how="Ask for less, or raise `most` in the configuration.",
    example=Example(
        of="Job",
        fails={"spec.template.spec.containers.0.resources.requests.cpu": "200"},
        neighbour={"spec.template.spec.containers.0.resources.requests.cpu": "32000m"},
    ),
)
