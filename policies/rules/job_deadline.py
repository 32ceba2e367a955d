"""Job has no deadline."""

from __future__ import annotations

from policies._logic import AtLeast
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="job-deadline",
    title="job has no deadline",
    severity=Severity.MEDIUM,
    frameworks=("Kubernetes production practice",),
    kinds=("batch/Job",),
    demand=AtLeast("spec.activeDeadlineSeconds", 1),
    why="A job that hangs keeps its resources and whatever it has locked.",
    how="Set activeDeadlineSeconds well above the usual duration.",
    example=Example(
        of="Job",
        fails={"spec.activeDeadlineSeconds": None},
        passes={"spec.activeDeadlineSeconds": 900},
        neighbour={"spec.activeDeadlineSeconds": 86400},
        needed=True,
    ),
)
