"""The relational store as servers that CloudNativePG runs: one writes, the others follow and take over, with a past.

A third choice beside `components.metadata_db` and `components.metadata_db_rds`. The operator makes the pods, Services,
certificates and the disruption budget; its plugin archives every change and takes a base backup a day, from which every
moment of the last days can be restored. Nobody is administrator over the network: roles and databases are objects too.
docs/operations.md says how to restore.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components._backups import BackupStore
from components._base import PlatformComponent
from components._database import Authority
from components._database_clients import ADMIN_DATABASE, COMPONENT, DatabaseClients, DatabaseServer
from components._labels import PART_OF, object_labels
from components._network import (
    GatewayPeer,
    allow_among,
    allow_cloud,
    allow_from_pods,
    allow_kubernetes_api,
    network_policy,
    offer_service,
)
from components._secrets import SecretSource
from components._workload import DATA_PRIORITY, Resources
from ml.contracts import POSTGRES_PORT

API_VERSION = "postgresql.cnpg.io/v1"
PLUGIN = "barman-cloud.cloudnative-pg.io"
_STORE_API_VERSION = "barmancloud.cnpg.io/v1"
_CLUSTER_LABEL = "cnpg.io/cluster"
_ROLE_LABEL = "cnpg.io/podRole"
_RELOAD_LABEL = "cnpg.io/reload"
_STATUS_PORT = 8000
METRICS_PORT = 9187
"""At which every server tells of itself, its followers and its backups."""
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
_WAIT_ANNOTATION = "pulumi.com/waitFor"


@dataclass(frozen=True, kw_only=True)
class Restore:
    """The past that a cluster takes over when it is made."""

    source: str
    """Name under which it was written in the store."""
    moment: str | None
    """RFC 3339; None takes all that was archived."""


@dataclass(frozen=True, kw_only=True)
class CloudNativeMetadataDbArgs:
    """What the servers need to know."""

    namespace: pulumi.Input[str]
    image: str
    """Of the operator's own kind: user 26, no start script."""
    secrets: SecretSource
    consumers: tuple[str, ...]
    """Names of the consumers; a consumer's database and role are called like it."""
    observer: str
    """Name of who reads the servers' statistics, which is also its role."""
    instances: int
    storage_gib: int
    wal_storage_gib: int
    storage_class: str | None
    """None takes the cluster's default class."""
    max_connections: int
    resources: Resources
    backups: BackupStore
    backup_days: int
    archive: str
    """Name under which this cluster writes its past; no other may ever have used it."""
    restore: Restore | None
    apart: bool
    """Whether two servers may never share a node or a zone; otherwise they avoid it."""
    operator: GatewayPeer
    protect: bool
    """Whether Pulumi refuses to delete the servers, with which the operator deletes their volumes."""


class CloudNativeMetadataDb(PlatformComponent):
    """A PostgreSQL cluster with a database per consumer and backups."""

    service: str
    """Name of the Service of the server that writes."""
    authority: Authority
    consumer_secrets: Mapping[str, pulumi.Output[str]]
    """Name of each consumer's Secret with keys username, password, dbname, host, port and uri."""
    observer_secret: pulumi.Output[str]
    """Name of the observer's Secret, with the same keys."""

    def __init__(self, name: str, args: CloudNativeMetadataDbArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        self._labels = object_labels(COMPONENT, name, args.image)
        self._selector = {_CLUSTER_LABEL: name}
        # The operator derives both names from the cluster's.
        self.service = f"{name}-rw"
        self.authority = Authority(name=f"{name}-ca", secret_key="ca.crt")  # noqa: S106 a name
        self._clients = DatabaseClients(
            self,
            # With the label, the operator takes a new password at once.
            DatabaseServer(
                name=name, host=self.service, authority=self.authority, secret_labels={_RELOAD_LABEL: "true"}
            ),
            namespace=args.namespace,
            image=args.image,
            secrets=args.secrets,
            consumers=args.consumers,
            observer=args.observer,
        )
        self.consumer_secrets = self._clients.consumer_secrets
        self.observer_secret = self._clients.observer_secret
        self._create_policies()
        self._create_store()
        self._create_cluster()
        self._create_backups()
        self._create_clients()
        self.finish(
            service=self.service,
            consumerSecrets=dict(self.consumer_secrets),
            observerSecret=self.observer_secret,
        )

    def consumer_fingerprint(self, consumer: str) -> pulumi.Output[str]:
        """Return a public text that changes with the password of the consumer (or the observer)."""
        return self._clients.fingerprint(consumer)

    def _create_store(self) -> None:
        args, store = self._args, self._args.backups
        spec = {
            "configuration": {
                **store.configuration(),
                "data": {"compression": "gzip", "jobs": 2},
                "wal": {"compression": "gzip", "maxParallel": 4},
            },
            "retentionPolicy": f"{args.backup_days}d",
            "instanceSidecarConfiguration": {
                "env": [{"name": "AWS_DEFAULT_REGION", "value": store.region}],
                "resources": _requirements(_SIDECAR),
            },
        }
        self._create(f"{self._name}-store", _STORE_API_VERSION, "ObjectStore", self._name, spec)

    def _create_cluster(self) -> None:
        args = self._args
        spec: dict[str, Any] = {
            "imageName": args.image,
            "imagePullPolicy": "IfNotPresent",
            "instances": args.instances,
            "bootstrap": self._bootstrap(),
            "postgresql": self._postgresql(),
            "enableSuperuserAccess": False,
            "storage": self._volume(args.storage_gib),
            "walStorage": self._volume(args.wal_storage_gib),
            "ephemeralVolumesSizeLimit": {"shm": "256Mi", "temporaryData": "1Gi"},
            "resources": _requirements(args.resources),
            "affinity": {
                "enablePodAntiAffinity": True,
                "podAntiAffinityType": "required" if args.apart else "preferred",
                "topologyKey": "kubernetes.io/hostname",
            },
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": "DoNotSchedule" if args.apart else "ScheduleAnyway",
                    "labelSelector": {"matchLabels": cluster_pods(self._name)},
                }
            ],
            "priorityClassName": DATA_PRIORITY,
            # A server is replaced by handing over to another one first.
            "primaryUpdateStrategy": "unsupervised",
            "primaryUpdateMethod": "switchover" if args.instances > 1 else "restart",
            # Minutes, not the half hour that the operator would wait.
            "smartShutdownTimeout": 30,
            "stopDelay": 180,
            "switchoverDelay": 180,
            # A budget for the only server would keep its node from ever being emptied.
            "enablePDB": args.instances > 1,
            # Everybody wants the server that writes.
            "managed": {"services": {"disabledDefaultServices": ["ro", "r"]}},
            "inheritedMetadata": {"labels": {"app.kubernetes.io/part-of": PART_OF, **args.backups.pod_labels}},
            "plugins": [{"name": PLUGIN, "isWALArchiver": True, "parameters": self._archive(args.archive)}],
        }
        if args.restore is not None:
            source = args.restore.source
            spec["externalClusters"] = [
                {"name": source, "plugin": {"name": PLUGIN, "parameters": self._archive(source)}}
            ]
        wait = {_WAIT_ANNOTATION: "condition=Ready"}
        self._create(self._name, API_VERSION, "Cluster", self._name, spec, wait, protect=args.protect)

    def _bootstrap(self) -> dict[str, Any]:
        # One database is made with the cluster; the operator would otherwise make one that nobody uses.
        first = self._args.consumers[0]
        owned = {"database": first, "owner": first, "secret": {"name": self.consumer_secrets[first]}}
        restore = self._args.restore
        if restore is None:
            # Sorts the same whatever C library the image has.
            locale = {"encoding": "UTF8", "localeProvider": "builtin", "builtinLocale": "C.UTF-8"}
            return {"initdb": {**owned, **locale, "dataChecksums": True}}
        target = {} if restore.moment is None else {"recoveryTarget": {"targetTime": restore.moment}}
        return {"recovery": {"source": restore.source, **owned, **target}}

    def _postgresql(self) -> dict[str, Any]:
        args = self._args
        synchronous = {"method": "any", "number": 1, "dataDurability": "required"}
        return {
            "parameters": {
                "max_connections": str(args.max_connections),
                "shared_buffers": f"{args.resources.memory_mib // 4}MB",
                **_QUIET,
            },
            # In this order, and after the operator's own rules for itself: who has no line here is not let in.
            "pg_hba": [
                f"hostssl {ADMIN_DATABASE} {args.observer} all scram-sha-256",
                *(f"hostssl {consumer} {consumer} all scram-sha-256" for consumer in args.consumers),
                "host all all all reject",
            ],
            **({"synchronous": synchronous} if args.instances >= _SYNCHRONOUS_FROM else {}),
        }

    def _volume(self, size_gib: int) -> dict[str, Any]:
        chosen = self._args.storage_class
        return {"size": f"{size_gib}Gi", **({} if chosen is None else {"storageClass": chosen})}

    def _archive(self, server: str) -> dict[str, str]:
        return {"barmanObjectName": self._name, "serverName": server}

    def _create_backups(self) -> None:
        spec = {
            "cluster": {"name": self._name},
            "schedule": _BACKUP_SCHEDULE,
            "immediate": True,
            "method": "plugin",
            "pluginConfiguration": {"name": PLUGIN},
            "target": "prefer-standby",
            # Otherwise the records of all backups stay, and hundreds of them are gone through.
            "backupOwnerReference": "self",
        }
        self._create(f"{self._name}-daily", API_VERSION, "ScheduledBackup", f"{self._name}-daily", spec)

    def _create_clients(self) -> None:
        for consumer, secret in self.consumer_secrets.items():
            self._create_role(consumer, secret, [])
            spec = {
                "cluster": {"name": self._name},
                "name": consumer,
                "owner": consumer,
                "databaseReclaimPolicy": "retain",
            }
            self._create_applied(f"{consumer}-database", "Database", f"{self._name}-{consumer}", spec)
        self._create_role(self._args.observer, self.observer_secret, ["pg_monitor"])

    def _create_role(self, role: str, secret: pulumi.Output[str], groups: list[str]) -> None:
        spec: dict[str, Any] = {
            "cluster": {"name": self._name},
            "name": role,
            "login": True,
            "superuser": False,
            "createdb": False,
            "createrole": False,
            "replication": False,
            "bypassrls": False,
            "passwordSecret": {"name": secret},
            "databaseRoleReclaimPolicy": "retain",
            **({"inRoles": groups} if groups else {}),
        }
        self._create_applied(f"{role}-role", "DatabaseRole", f"{self._name}-{role}", spec)

    def _create_applied(self, role: str, kind: str, name: str, spec: dict[str, Any]) -> None:
        # Whoever waits for the store waits for its databases.
        wait = {_WAIT_ANNOTATION: "jsonpath={.status.applied}=true"}
        self._create(f"{self._name}-{role}", API_VERSION, kind, name, spec, wait)

    def _create_policies(self) -> None:
        args = self._args
        offer_service(
            self,
            self._name,
            namespace=args.namespace,
            labels=self._labels,
            selector=self._selector,
            ports=[POSTGRES_PORT],
        )
        policies = {
            "among": allow_among(self._selector),
            "kubernetes": allow_kubernetes_api(self._selector),
            "operator": allow_from_pods(
                self._selector,
                args.operator.selector,
                [_STATUS_PORT, POSTGRES_PORT],
                namespace=args.operator.namespace,
            ),
        }
        if not args.backups.pod_labels:
            policies["backups"] = allow_cloud(self._selector)
        for role, spec in policies.items():
            network_policy(self, f"{self._name}-{role}", spec, namespace=args.namespace, labels=self._labels)

    def _create(
        self,
        name: str,
        api_version: str,
        kind: str,
        object_name: str,
        spec: dict[str, Any],
        annotations: dict[str, str] | None = None,
        *,
        protect: bool = False,
    ) -> None:
        k8s.apiextensions.CustomResource(
            name,
            api_version=api_version,
            kind=kind,
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=object_name,
                namespace=self._args.namespace,
                labels=self._labels,
                annotations=annotations,
            ),
            spec=spec,
            opts=self.child(protect=protect or None),
        )


def cluster_pods(name: str) -> dict[str, str]:
    """Return the labels of the servers among the pods that the operator makes for the cluster of this name."""
    return {_CLUSTER_LABEL: name, _ROLE_LABEL: "instance"}


def _requirements(resources: Resources) -> dict[str, Any]:
    return {
        "requests": {"cpu": f"{resources.cpu_millis}m", "memory": f"{resources.memory_mib}Mi"},
        "limits": {"memory": f"{resources.memory_limit_mib}Mi"},
    }
