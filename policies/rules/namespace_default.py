"""Resource lies in the default namespace."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="namespace-default",
    title="resource lies in the default namespace",
    severity=Severity.MEDIUM,
    frameworks=("CIS Kubernetes 5.7.4",),
    kinds=("apps/Deployment", "apps/StatefulSet", "apps/DaemonSet", "batch/Job", "batch/CronJob", "core/Pod"),
    demand=~Is("metadata.namespace", "default"),
    why="Nothing is isolated there: neither rights nor network policies nor quotas are made for it.",
    how="Put it into a namespace of its own.",
    example=Example(
        of="Deployment", fails={"metadata.namespace": "default"}, neighbour={"metadata.namespace": "default-models"}
    ),
)
