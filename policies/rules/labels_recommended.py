"""Resource does not say what it belongs to."""

from __future__ import annotations

from policies._logic import Filled
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="labels-recommended",
    title="resource does not say what it belongs to",
    severity=Severity.LOW,
    frameworks=("Kubernetes recommended labels",),
    kinds=("apps/Deployment", "apps/StatefulSet", "apps/DaemonSet", "batch/Job", "batch/CronJob", "core/Service"),
    demand=Filled("metadata.labels[app.kubernetes.io/name]")
    & Filled("metadata.labels[app.kubernetes.io/part-of]")
    & Filled("metadata.labels[app.kubernetes.io/managed-by]"),
    why="Costs, alerts and cleaning up go by these labels.",
    how="Set app.kubernetes.io/name, part-of and managed-by.",
    example=Example(
        of="Service",
        fails={"metadata.labels[app.kubernetes.io/part-of]": ""},
        neighbour={"metadata.labels.tier": "back"},
        needed=True,
    ),
)
