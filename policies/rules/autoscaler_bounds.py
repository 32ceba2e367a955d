"""Autoscaler may grow beyond the budget."""

from __future__ import annotations

from policies._logic import AtMost, Setting
from policies._model import Example, ObjectRule, SettingRule, Severity

RULE = ObjectRule(
    id="autoscaler-bounds",
    title="autoscaler may grow beyond the budget",
    severity=Severity.MEDIUM,
    frameworks=("cost",),
    kinds=("autoscaling/HorizontalPodAutoscaler",),
    demand=AtMost("spec.maxReplicas", Setting("most")),
    settings={"most": SettingRule(kind="number", default=50, meaning="most replicas of one autoscaler")},
    why="A flood of requests, or a wrong metric, becomes a bill.",
    how="Lower maxReplicas, or raise `most` in the configuration.",
    example=Example(
        of="HorizontalPodAutoscaler", fails={"spec.maxReplicas": 500}, neighbour={"spec.maxReplicas": 50}, needed=True
    ),
)
