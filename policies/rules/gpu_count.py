"""Container asks for more GPUs than the budget allows."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import AmountAtMost, Present, Setting
from policies._model import Example, ObjectRule, Scope, SettingRule, Severity

RULE = ObjectRule(
    id="gpu-count",
    title="container asks for more GPUs than the budget allows",
    severity=Severity.HIGH,
    frameworks=("cost",),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=~Present("resources.limits[nvidia.com/gpu]")
    | AmountAtMost("resources.limits[nvidia.com/gpu]", Setting("most")),
    settings={"most": SettingRule(kind="amount", default="8", meaning="most GPUs of one container")},
    why="One GPU costs as much as a rack of small pods.",
    how="Ask for fewer, or raise `most` in the configuration.",
    example=Example(
        of="Job",
        fails={"spec.template.spec.containers.0.resources.limits[nvidia.com/gpu]": "64"},
        neighbour={"spec.template.spec.containers.0.resources.limits[nvidia.com/gpu]": "8"},
    ),
)
