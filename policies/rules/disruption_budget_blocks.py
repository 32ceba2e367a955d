"""Disruption budget never lets a node be drained."""

from __future__ import annotations

from policies._logic import OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="disruption-budget-blocks",
    title="disruption budget never lets a node be drained",
    severity=Severity.MEDIUM,
    frameworks=("Kubernetes production practice",),
    kinds=("policy/PodDisruptionBudget",),
    demand=~OneOf("spec.maxUnavailable", (0, "0", "0%")) & ~OneOf("spec.minAvailable", ("100%",)),
    why="Upgrades of nodes hang, and somebody ends them by force.",
    how="Allow one pod to be away.",
    example=Example(
        of="PodDisruptionBudget", fails={"spec.maxUnavailable": 0}, neighbour={"spec.maxUnavailable": "10%"}
    ),
)
