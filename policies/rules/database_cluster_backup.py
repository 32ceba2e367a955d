"""Servers of a database without a past."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from policies._model import Finding, Resource, Severity, Situated, StackRule, unknown
from policies._paths import UNKNOWN, read
from policies._samples import backup_plan, database_cluster


def check(stack: Situated) -> Iterator[Finding]:
    """Find databases of CloudNativePG whose changes nobody archives, or of which no backup is planned."""
    plans = stack.of("postgresql.cnpg.io/ScheduledBackup")
    for cluster in stack.of("postgresql.cnpg.io/Cluster"):
        archivers = _archivers(cluster)
        planned = [read(plan.properties, "spec.cluster.name") for plan in plans if _counts(plan, cluster)]
        if True in archivers and cluster.name in planned:
            continue
        if (True in archivers or UNKNOWN in archivers) and (cluster.name in planned or UNKNOWN in planned):
            yield unknown(cluster, "spec.plugins")
        else:
            yield Finding(resource=cluster, message="no plugin archives its changes, or no ScheduledBackup names it")


def _archivers(cluster: Resource) -> list[Any]:
    plugins = read(cluster.properties, "spec.plugins")
    if not isinstance(plugins, list):
        return [plugins]
    used = [plugin for plugin in cast("list[Any]", plugins) if read(plugin, "enabled") is not False]
    return [read(plugin, "isWALArchiver") for plugin in used]


def _counts(plan: Resource, cluster: Resource) -> bool:
    return plan.namespace == cluster.namespace and read(plan.properties, "spec.suspend") is not True


_ARCHIVER = {"name": "barman-cloud.cloudnative-pg.io", "isWALArchiver": True}
RULE = StackRule(
    id="database-cluster-backup",
    title="servers of a database without a past",
    severity=Severity.HIGH,
    frameworks=("data protection", "NSA/CISA"),
    why="Servers that follow each other repeat a wrong command within a second: only a backup knows the moment before.",
    how="Let a plugin with isWALArchiver archive the Cluster's changes, and add a ScheduledBackup of it.",
    check=check,
    concerns=("postgresql.cnpg.io/Cluster",),
    fails=(database_cluster([_ARCHIVER]), backup_plan(suspend=True)),
    passes=(
        database_cluster([{"name": "other"}, _ARCHIVER]),
        backup_plan(cluster={"name": "another"}),
        backup_plan(suspend=False),
    ),
    neighbour=(backup_plan(cluster={"name": "another"}),),
    unknown=(database_cluster([{"isWALArchiver": UNKNOWN}]), backup_plan(cluster={"name": UNKNOWN})),
    missing=(database_cluster([{**_ARCHIVER, "enabled": False}]), backup_plan()),
)
