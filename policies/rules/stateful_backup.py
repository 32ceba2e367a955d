"""Data without a backup."""

from __future__ import annotations

from collections.abc import Iterator

from policies._model import Finding, Severity, Situated, StackRule, unknown
from policies._paths import MISSING, UNKNOWN, read
from policies._samples import thing, workload


def check(stack: Situated) -> Iterator[Finding]:
    """Find StatefulSets with volumes that no CronJob says it backs up."""
    jobs = stack.of("batch/CronJob")
    for owner in stack.of("apps/StatefulSet"):
        claims = read(owner.properties, "spec.volumeClaimTemplates")
        if claims in (MISSING, []):
            continue
        near = [job for job in jobs if job.namespace == owner.namespace]
        named = [read(job.properties, "metadata.labels[mlplatform.dev/backs-up]") for job in near]
        if owner.name in named:
            continue
        if claims is UNKNOWN or UNKNOWN in named:
            yield unknown(owner, "spec.volumeClaimTemplates")
        else:
            yield Finding(resource=owner, message="no CronJob with the label mlplatform.dev/backs-up names it")


_CLAIMS = {"spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}}
_SET = thing("apps/StatefulSet", "db", _CLAIMS)
_LABEL = "mlplatform.dev/backs-up"
RULE = StackRule(
    id="stateful-backup",
    title="data without a backup",
    severity=Severity.HIGH,
    frameworks=("data protection", "NSA/CISA"),
    why="A volume survives its pod, but neither its disk nor a wrong command.",
    how="Add a CronJob that copies the data away, with the label mlplatform.dev/backs-up: NAME.",
    check=check,
    concerns=("apps/StatefulSet",),
    fails=(_SET,),
    passes=(_SET, thing("batch/CronJob", "backup", {"metadata": {"labels": {_LABEL: "db"}}})),
    neighbour=(workload("cache", kind="apps/StatefulSet"),),
    unknown=(_SET, thing("batch/CronJob", "backup", {"metadata": {"labels": {_LABEL: UNKNOWN}}})),
    missing=(_SET, thing("batch/CronJob", "backup", {})),
)
