"""Experiment watches nothing but its aim."""

from __future__ import annotations

from policies._logic import Filled, Present
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="experiment-guardrails",
    title="experiment watches nothing but its aim",
    severity=Severity.HIGH,
    frameworks=("experiments",),
    kinds=("mlplatform.dev/ABTest",),
    demand=~Present("spec.guardrails") | Filled("spec.guardrails"),
    why="A candidate can win on the metric and break everything else meanwhile.",
    how="Name at least one guardrail, or leave the list out: the platform's own three then hold.",
    example=Example(
        of="ABTest",
        fails={"spec.guardrails": []},
        neighbour={"spec.guardrails": [{"kind": "errors", "limitPercent": 5}]},
    ),
)
