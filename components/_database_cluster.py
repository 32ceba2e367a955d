"""What CloudNativePG is told about a database: the contents of its objects, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components._backups import BackupStore
from components._database_clients import ADMIN_DATABASE
from components._workload import Resources

PLUGIN = "barman-cloud.cloudnative-pg.io"
CLUSTER_LABEL = "cnpg.io/cluster"
_ROLE_LABEL = "cnpg.io/podRole"
_BACKUP_SCHEDULE = "0 0 1 * * *"
"""At 01:00 UTC; the first field is seconds. The log of changes is archived all the time."""
_SYNCHRONOUS_FROM = 3
_SIDECAR = Resources(cpu_millis=50, memory_mib=128, memory_limit_mib=512)
_QUIET = {
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_min_duration_statement": "-1",
}
"""Statements stay out of the log: some set passwords."""


@dataclass(frozen=True, kw_only=True)
class Restore:
    """The past that a cluster takes over when it is made."""

    source: str
    """Name under which it was written in the store."""
    moment: str | None
    """RFC 3339; None takes all that was archived."""


def cluster_pods(name: str) -> dict[str, str]:
    """Return the labels of the servers among the pods that the operator makes for the cluster of this name."""
    return {CLUSTER_LABEL: name, _ROLE_LABEL: "instance"}


def volume(size_gib: int, storage_class: str | None) -> dict[str, Any]:
    """Return a disk of every server; without a class the cluster's default is taken."""
    return {"size": f"{size_gib}Gi", **({} if storage_class is None else {"storageClass": storage_class})}


def placement(name: str, *, apart: bool) -> dict[str, Any]:
    """Return where servers may be: never two on a node or in a zone more than in another, or rather not."""
    return {
        "affinity": {
            "enablePodAntiAffinity": True,
            "podAntiAffinityType": "required" if apart else "preferred",
            "topologyKey": "kubernetes.io/hostname",
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "DoNotSchedule" if apart else "ScheduleAnyway",
                "labelSelector": {"matchLabels": cluster_pods(name)},
            }
        ],
    }


def exchange(instances: int) -> dict[str, Any]:
    """Return how a server is replaced: by handing over to another one first, if there is one."""
    return {
        "primaryUpdateStrategy": "unsupervised",
        "primaryUpdateMethod": "switchover" if instances > 1 else "restart",
        # Minutes, not the half hour that the operator would wait.
        "smartShutdownTimeout": 30,
        "stopDelay": 180,
        "switchoverDelay": 180,
        # A budget for the only server would keep its node from ever being emptied.
        "enablePDB": instances > 1,
    }


def beginning(owner: str, secret: pulumi.Input[str], restore: Restore | None) -> dict[str, Any]:
    """Return what a cluster is made with: one owner and its database, or a past in which they are.

    The operator would otherwise make a database that nobody uses.
    """
    owned = {"database": owner, "owner": owner, "secret": {"name": secret}}
    if restore is None:
        # Sorts the same whatever C library the image has.
        locale = {"encoding": "UTF8", "localeProvider": "builtin", "builtinLocale": "C.UTF-8"}
        return {"initdb": {**owned, **locale, "dataChecksums": True}}
    target = {} if restore.moment is None else {"recoveryTarget": {"targetTime": restore.moment}}
    return {"recovery": {"source": restore.source, **owned, **target}}


def archive(store: str, server: str) -> dict[str, str]:
    """Return which past of a store the plugin is to write, or to read."""
    return {"barmanObjectName": store, "serverName": server}


def server_settings(
    *, instances: int, memory_mib: int, max_connections: int, consumers: Sequence[str], observer: str
) -> dict[str, Any]:
    """Return what PostgreSQL is told, and who may connect to which database."""
    synchronous = {"method": "any", "number": 1, "dataDurability": "required"}
    return {
        "parameters": {
            "max_connections": str(max_connections),
            "shared_buffers": f"{memory_mib // 4}MB",
            **_QUIET,
        },
        # In this order, and after the operator's own rules for itself: who has no line here is not let in.
        "pg_hba": [
            f"hostssl {ADMIN_DATABASE} {observer} all scram-sha-256",
            *(f"hostssl {consumer} {consumer} all scram-sha-256" for consumer in consumers),
            "host all all all reject",
        ],
        **({"synchronous": synchronous} if instances >= _SYNCHRONOUS_FROM else {}),
    }


def store_of(backups: BackupStore, days: int) -> dict[str, Any]:
    """Return an ObjectStore of the plugin that keeps so many days."""
    return {
        "configuration": {
            **backups.configuration(),
            "data": {"compression": "gzip", "jobs": 2},
            "wal": {"compression": "gzip", "maxParallel": 4},
        },
        "retentionPolicy": f"{days}d",
        "instanceSidecarConfiguration": {
            "env": [{"name": "AWS_DEFAULT_REGION", "value": backups.region}],
            "resources": _SIDECAR.amounts(),
        },
    }


def daily_backup(cluster: str) -> dict[str, Any]:
    """Return a ScheduledBackup."""
    return {
        "cluster": {"name": cluster},
        "schedule": _BACKUP_SCHEDULE,
        "immediate": True,
        "method": "plugin",
        "pluginConfiguration": {"name": PLUGIN},
        "target": "prefer-standby",
        # The records of backups go with the plan; those in the store stay as long as it keeps them.
        "backupOwnerReference": "self",
    }


def database(cluster: str, consumer: str) -> dict[str, Any]:
    """Return a Database that belongs to the consumer of the same name, and stays when it is no longer declared."""
    return {
        "cluster": {"name": cluster},
        "name": consumer,
        "owner": consumer,
        "databaseReclaimPolicy": "retain",
    }


def database_role(cluster: str, role: str, secret: pulumi.Input[str], groups: Sequence[str] = ()) -> dict[str, Any]:
    """Return a DatabaseRole that may log in and nothing else but what its groups may."""
    return {
        "cluster": {"name": cluster},
        "name": role,
        "login": True,
        "superuser": False,
        "createdb": False,
        "createrole": False,
        "replication": False,
        "bypassrls": False,
        "passwordSecret": {"name": secret},
        "databaseRoleReclaimPolicy": "retain",
        **({"inRoles": list(groups)} if groups else {}),
    }
