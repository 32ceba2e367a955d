"""Workload has more replicas than the budget allows."""

from __future__ import annotations

from policies._kinds import SCALED
from policies._logic import AtMost, Present, Setting
from policies._model import Example, ObjectRule, SettingRule, Severity

RULE = ObjectRule(
    id="replicas-limit",
    title="workload has more replicas than the budget allows",
    severity=Severity.MEDIUM,
    frameworks=("cost",),
    kinds=SCALED,
    demand=~Present("spec.replicas") | AtMost("spec.replicas", Setting("most")),
    settings={"most": SettingRule(kind="number", default=50, meaning="most replicas of one workload")},
    why="A slip of one digit becomes a bill.",
    how="Lower replicas, or raise `most` in the configuration.",
    example=Example(of="Deployment", fails={"spec.replicas": 500}, neighbour={"spec.replicas": 50}),
)
