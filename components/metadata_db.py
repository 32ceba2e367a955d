"""The relational store: one PostgreSQL server in a pod, in which every consumer has a database, a role and a Secret.

Leaves out backups and replicas: `components.metadata_db_cloudnative` and `components.metadata_db_rds` have both. The
administrator's password is set when the volume is first used and never again: a new master secret needs the
administrator's password to be changed in the server first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._database_clients import ADMIN, COMPONENT, POSTGRES_UID, DatabaseClients, DatabaseServer
from components._labels import object_labels, selector_labels
from components._network import offer_service
from components._secrets import SecretSource
from components._stateful import claim, stateful_set
from components._workload import (
    TMP_DIR,
    Resources,
    container,
    data_priority,
    env,
    exec_probe,
    pod_template,
    scratch_volume,
    secret_volume,
)
from ml.contracts import POSTGRES_PORT

_VOLUME_DIR = "/var/lib/postgresql"
_DATA_DIR = f"{_VOLUME_DIR}/18/docker"  # where the official image of PostgreSQL 18 keeps it
_SOCKET_DIR = "/var/run/postgresql"
_ADMIN_SECRET_DIR = "/run/secrets/admin"  # noqa: S105 a path


@dataclass(frozen=True, kw_only=True)
class MetadataDbArgs:
    """What the database server needs to know."""

    namespace: pulumi.Input[str]
    image: str
    secrets: SecretSource
    consumers: tuple[str, ...]
    """Names of the consumers; a consumer's database and role are called like it."""
    observer: str
    """Name of who reads the server's statistics, which is also its role."""
    storage_gib: int
    storage_class: str | None
    """None takes the cluster's default class."""
    max_connections: int
    resources: Resources
    protect: bool
    """Whether the data outlives a deletion of the component, and Pulumi refuses to delete it."""


class MetadataDb(PlatformComponent):
    """A PostgreSQL server with a database per consumer."""

    service: pulumi.Output[str]
    admin_secret: pulumi.Output[str]
    """Name of the Secret with keys username and password."""
    consumer_secrets: Mapping[str, pulumi.Output[str]]
    """Name of each consumer's Secret with keys username, password, dbname, host, port and uri."""
    observer_secret: pulumi.Output[str]
    """Name of the observer's Secret, with the same keys."""

    def __init__(self, name: str, args: MetadataDbArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        self._labels = object_labels(COMPONENT, name, args.image)
        self._selector = selector_labels(COMPONENT, name)
        self.service = self._create_service()
        self._clients = DatabaseClients(
            self,
            DatabaseServer(name=name, host=name),
            namespace=args.namespace,
            image=args.image,
            secrets=args.secrets,
            consumers=args.consumers,
            observer=args.observer,
        )
        self.admin_secret = self._clients.create_administrator()
        self.consumer_secrets = self._clients.consumer_secrets
        self.observer_secret = self._clients.observer_secret
        self.server = self._create_server()
        self._clients.create_bootstrap(self.admin_secret)
        offer_service(
            self,
            name,
            namespace=args.namespace,
            labels=self._labels,
            selector=self._selector,
            ports=[POSTGRES_PORT],
        )
        self.finish(
            service=self.service,
            adminSecret=self.admin_secret,
            consumerSecrets=dict(self.consumer_secrets),
            observerSecret=self.observer_secret,
        )

    def consumer_fingerprint(self, consumer: str) -> pulumi.Output[str]:
        """Return a public text that changes with the password of the consumer (or the observer)."""
        return self._clients.fingerprint(consumer)

    def _create_service(self) -> pulumi.Output[str]:
        service = k8s.core.v1.Service(
            self._name,
            metadata=self._metadata(self._name),
            spec=k8s.core.v1.ServiceSpecArgs(
                selector=self._selector,
                ports=[
                    k8s.core.v1.ServicePortArgs(name="tcp-postgres", port=POSTGRES_PORT, target_port="postgres"),
                ],
            ),
            opts=self.child(),
        )
        return service.metadata.name

    def _create_server(self) -> k8s.apps.v1.StatefulSet:
        ready = ["pg_isready", "--quiet", "--host", "127.0.0.1", "--username", ADMIN]
        server = container(
            "server",
            self._args.image,
            self._args.resources,
            command=["docker-entrypoint.sh", "postgres"],
            args=["-c", f"max_connections={self._args.max_connections}"],
            env=[
                env("POSTGRES_USER", ADMIN),
                env("POSTGRES_PASSWORD_FILE", f"{_ADMIN_SECRET_DIR}/password"),
                env("POSTGRES_INITDB_ARGS", "--auth=scram-sha-256"),
                env("PGDATA", _DATA_DIR),
            ],
            ports={"postgres": POSTGRES_PORT},
            mounts={
                _VOLUME_DIR: "data",
                _SOCKET_DIR: "socket",
                TMP_DIR: "tmp",
            },
            read_only_mounts={_ADMIN_SECRET_DIR: "admin"},
            startup=exec_probe(ready, period_seconds=2, failures=150),
            readiness=exec_probe(ready, period_seconds=5),
            liveness=exec_probe(ready, period_seconds=10, failures=6),
        )
        template = pod_template(
            [server],
            labels=self._labels,
            priority=data_priority(self._args.namespace),
            uid=POSTGRES_UID,  # the volume belongs to it
            volumes=[
                scratch_volume("socket", 16),
                scratch_volume("tmp", 256),
                secret_volume("admin", self.admin_secret),
            ],
            # PostgreSQL ends all sessions and writes a checkpoint before it stops.
            grace_seconds=60,
        )
        return stateful_set(
            self,
            self._name,
            metadata=self._metadata(self._name),
            service=self._name,
            selector=self._selector,
            template=template,
            claims=[claim("data", self._args.storage_gib, self._args.storage_class, self._labels)],
            protect=self._args.protect,
        )

    def _metadata(self, name: str) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(name=name, namespace=self._args.namespace, labels=self._labels)
