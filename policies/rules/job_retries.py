"""Job tries again too often."""

from __future__ import annotations

from policies._logic import AtMost, Present
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="job-retries",
    title="job tries again too often",
    severity=Severity.LOW,
    frameworks=("Kubernetes production practice",),
    kinds=("batch/Job",),
    demand=~Present("spec.backoffLimit") | AtMost("spec.backoffLimit", 10),
    why="A job that cannot succeed costs its full price with every try.",
    how="Set backoffLimit to 10 at most.",
    example=Example(of="Job", fails={"spec.backoffLimit": 50}, neighbour={"spec.backoffLimit": 0}),
)
