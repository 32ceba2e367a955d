"""Experiment watches nothing but its aim."""

from __future__ import annotations

from policies._logic import Filled
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="experiment-guardrails",
    title="experiment watches nothing but its aim",
    severity=Severity.HIGH,
    frameworks=("experiments",),
    kinds=("mlplatform.dev/ABTest",),
    demand=Filled("spec.guardrails"),
    why="A candidate can win on the metric and break everything else meanwhile.",
    how="Name at least one guardrail.",
    example=Example(
        of="ABTest",
        fails={"spec.guardrails": []},
        neighbour={"spec.guardrails": [{"kind": "errors", "limitPercent": 5}]},
        needed=True,
    ),
)
