"""Autoscaler looks at nothing."""

from __future__ import annotations

from policies._logic import Filled
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="autoscaler-metrics",
    title="autoscaler looks at nothing",
    severity=Severity.LOW,
    frameworks=("Kubernetes production practice",),
    kinds=("autoscaling/HorizontalPodAutoscaler",),
    demand=Filled("spec.metrics"),
    why="The default metric, CPU at 80 percent, is hardly ever what limits a model server.",
    how="Name the metric in spec.metrics.",
    example=Example(
        of="HorizontalPodAutoscaler",
        fails={"spec.metrics": []},
        neighbour={
            "spec.metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 50}},
                }
            ]
        },
        needed=True,
    ),
)
