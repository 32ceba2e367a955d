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
from components._database_clients import COMPONENT, DatabaseClients, DatabaseServer
from components._database_cluster import (
    CLUSTER_LABEL,
    PLUGIN,
    Restore,
    archive,
    beginning,
    daily_backup,
    database,
    database_role,
    exchange,
    placement,
    server_settings,
    store_of,
    volume,
)
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
from components._workload import Resources, data_priority
from ml.contracts import POSTGRES_PORT

_API_VERSION = "postgresql.cnpg.io/v1"
_STORE_API_VERSION = "barmancloud.cnpg.io/v1"
_RELOAD_LABEL = "cnpg.io/reload"
_WAIT_ANNOTATION = "pulumi.com/waitFor"
_STATUS_PORT = 8000
METRICS_PORT = 9187
"""At which every server tells of itself, its followers and its backups."""


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
        self._selector = {CLUSTER_LABEL: name}
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

    def _create_cluster(self) -> None:
        args, first = self._args, self._args.consumers[0]
        spec: dict[str, Any] = {
            "imageName": args.image,
            "imagePullPolicy": "IfNotPresent",
            "instances": args.instances,
            "bootstrap": beginning(first, self.consumer_secrets[first], args.restore),
            "postgresql": server_settings(
                instances=args.instances,
                memory_mib=args.resources.memory_mib,
                max_connections=args.max_connections,
                consumers=args.consumers,
                observer=args.observer,
            ),
            "enableSuperuserAccess": False,
            "storage": volume(args.storage_gib, args.storage_class),
            "walStorage": volume(args.wal_storage_gib, args.storage_class),
            "ephemeralVolumesSizeLimit": {"shm": "256Mi", "temporaryData": "1Gi"},
            "resources": args.resources.amounts(),
            "priorityClassName": data_priority(args.namespace),
            **placement(self._name, apart=args.apart),
            **exchange(args.instances),
            # Everybody wants the server that writes.
            "managed": {"services": {"disabledDefaultServices": ["ro", "r"]}},
            "inheritedMetadata": {"labels": {"app.kubernetes.io/part-of": PART_OF, **args.backups.pod_labels}},
            "plugins": [{"name": PLUGIN, "isWALArchiver": True, "parameters": archive(self._name, args.archive)}],
        }
        if args.restore is not None:
            source = args.restore.source
            plugin = {"name": PLUGIN, "parameters": archive(self._name, source)}
            spec["externalClusters"] = [{"name": source, "plugin": plugin}]
        wait = {_WAIT_ANNOTATION: "condition=Ready"}
        self._create(self._name, _API_VERSION, "Cluster", self._name, spec, wait, protect=args.protect)

    def _create_backups(self) -> None:
        store = store_of(self._args.backups, self._args.backup_days)
        self._create(f"{self._name}-store", _STORE_API_VERSION, "ObjectStore", self._name, store)
        name = f"{self._name}-daily"
        self._create(name, _API_VERSION, "ScheduledBackup", name, daily_backup(self._name))

    def _create_clients(self) -> None:
        roles = {
            consumer: database_role(self._name, consumer, self.consumer_secrets[consumer])
            for consumer in self._args.consumers
        }
        observer = self._args.observer
        roles[observer] = database_role(self._name, observer, self.observer_secret, ["pg_monitor"])
        # Whoever waits for the store waits for its databases.
        wait = {_WAIT_ANNOTATION: "jsonpath={.status.applied}=true"}
        for role, spec in roles.items():
            name = f"{self._name}-{role}"
            self._create(f"{name}-role", _API_VERSION, "DatabaseRole", name, spec, wait)
        for consumer in self._args.consumers:
            name, spec = f"{self._name}-{consumer}", database(self._name, consumer)
            self._create(f"{name}-database", _API_VERSION, "Database", name, spec, wait)

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
