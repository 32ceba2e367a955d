"""Runs of a schedule may overlap."""

from __future__ import annotations

from policies._logic import OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="cron-job-overlap",
    title="runs of a schedule may overlap",
    severity=Severity.MEDIUM,
    frameworks=("Kubernetes production practice",),
    kinds=("batch/CronJob",),
    demand=OneOf("spec.concurrencyPolicy", ("Forbid", "Replace")),
    why="A run that takes longer than its interval is joined by the next until the node is full.",
    how="Set concurrencyPolicy to Forbid or Replace.",
    example=Example(
        of="CronJob",
        fails={"spec.concurrencyPolicy": "Allow"},
        neighbour={"spec.concurrencyPolicy": "Replace"},
        needed=True,
    ),
    fix={"spec.concurrencyPolicy": "Forbid"},
)
