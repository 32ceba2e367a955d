"""Pulumi may delete what holds data."""

from __future__ import annotations

from collections.abc import Iterator

from policies._model import Finding, Severity, Situated, StackRule, unknown
from policies._paths import MISSING, UNKNOWN, read
from policies._samples import thing, workload


def check(stack: Situated) -> Iterator[Finding]:
    """Find what holds data and is not protected; in a cluster that is not known and nothing is said."""
    for resource in stack.of(*_HOLD_DATA):
        claims = read(resource.properties, "spec.volumeClaimTemplates")
        if resource.kind == "apps/StatefulSet" and claims in (MISSING, []):
            continue
        if resource.protected is False:
            yield (
                unknown(resource, "spec.volumeClaimTemplates")
                if claims is UNKNOWN
                else Finding(resource=resource, message="the option protect is not set")
            )


_HOLD_DATA = (
    "apps/StatefulSet",
    "core/PersistentVolumeClaim",
    "postgresql.cnpg.io/Cluster",
    "aws:rds/Instance",
    "aws:rds/Cluster",
    "aws:s3/Bucket",
)
_CLAIMS = {"spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}}
RULE = StackRule(
    id="stateful-protected",
    title="Pulumi may delete what holds data",
    severity=Severity.HIGH,
    frameworks=("data protection",),
    why="A renamed component or a wrong `destroy` deletes the data with the resource.",
    how="Set protect=True in the resource's options.",
    check=check,
    concerns=_HOLD_DATA,
    fails=(thing("apps/StatefulSet", "db", _CLAIMS, protected=False),),
    passes=(thing("apps/StatefulSet", "db", _CLAIMS, protected=True),),
    neighbour=(workload("cache", kind="apps/StatefulSet", protected=False),),
    unknown=(thing("apps/StatefulSet", "db", {"spec": {"volumeClaimTemplates": UNKNOWN}}, protected=False),),
    missing=(thing("core/PersistentVolumeClaim", "data", {}, protected=False),),
)
