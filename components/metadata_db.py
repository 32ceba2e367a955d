"""The relational store: one PostgreSQL server in which every consumer has a database, a role and a Secret of its own.

An observer has a role and a Secret too, but no database: it may read the server's statistics.

Leaves out backups and replicas. The administrator's password is set when the volume is first used and never again: a
new master secret needs the administrator's password to be changed in the server first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._labels import object_labels, selector_labels
from components._network import offer_service
from components._secrets import SecretSource
from components._stateful import claim, stateful_set
from components._workload import (
    CONFIG_ANNOTATION,
    DATA_PRIORITY,
    TMP_DIR,
    Resources,
    container,
    env,
    env_from_secret,
    exec_probe,
    job_spec,
    pod_template,
    scratch_volume,
    script,
    secret_volume,
)
from ml.contracts import POSTGRES_PORT, access_label

_NAME = "metadata-db"
_UID = 999  # the user of the official image; the volume belongs to it
_ADMIN = "postgres"
_ADMIN_DATABASE = "postgres"
_VOLUME_DIR = "/var/lib/postgresql"
_DATA_DIR = f"{_VOLUME_DIR}/18/docker"  # where the official image of PostgreSQL 18 keeps it
_SOCKET_DIR = "/var/run/postgresql"
_ADMIN_SECRET_DIR = "/run/secrets/admin"  # noqa: S105 a path
_CONSUMERS_DIR = "/run/secrets/consumers"
_OBSERVER_DIR = "/run/secrets/observer"
_BOOTSTRAP_DEADLINE_SECONDS = 900
_BOOTSTRAP_RESOURCES = Resources(cpu_millis=20, memory_mib=64, memory_limit_mib=256)


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
        self._labels = object_labels(_NAME, name, args.image)
        self._selector = selector_labels(_NAME, name)
        self.service = self._create_service()
        self.admin_secret = self._create_admin_secret()
        self.consumer_secrets = {
            consumer: self._create_client_secret(consumer, database=consumer) for consumer in args.consumers
        }
        self.observer_secret = self._create_client_secret(args.observer, database=_ADMIN_DATABASE)
        self.server = self._create_server()
        self._create_bootstrap()
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
        return self._args.secrets.fingerprint(f"{self._name}/{consumer}")

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

    def _create_admin_secret(self) -> pulumi.Output[str]:
        data = {"username": _ADMIN, "password": self._args.secrets.password(f"{self._name}/admin")}
        return self._create_secret("admin", data)

    def _create_client_secret(self, client: str, *, database: str) -> pulumi.Output[str]:
        password = self._args.secrets.password(f"{self._name}/{client}")
        user, path = quote(client), quote(database)
        uri = password.apply(lambda value: f"postgresql://{user}:{value}@{self._name}:{POSTGRES_PORT}/{path}")
        data = {
            "username": client,
            "password": password,
            "dbname": database,
            "host": self._name,
            "port": str(POSTGRES_PORT),
            "uri": uri,
        }
        return self._create_secret(client, data)

    def _create_secret(self, role: str, data: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
        secret = k8s.core.v1.Secret(
            f"{self._name}-{role}",
            metadata=self._metadata(f"{self._name}-{role}"),
            string_data=dict(data),
            opts=self.child(),
        )
        return secret.metadata.name

    def _create_server(self) -> k8s.apps.v1.StatefulSet:
        ready = ["pg_isready", "--quiet", "--host", "127.0.0.1", "--username", _ADMIN]
        server = container(
            "server",
            self._args.image,
            self._args.resources,
            command=["docker-entrypoint.sh", "postgres"],
            args=["-c", f"max_connections={self._args.max_connections}"],
            env=[
                env("POSTGRES_USER", _ADMIN),
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
            priority=DATA_PRIORITY,
            uid=_UID,
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

    def _create_bootstrap(self) -> None:
        role = f"{self._name}-bootstrap"
        secrets = {**self.consumer_secrets, self._args.observer: self.observer_secret}
        mounts = {f"{_CONSUMERS_DIR}/{consumer}": consumer for consumer in self.consumer_secrets}
        bootstrap = container(
            "bootstrap",
            self._args.image,
            _BOOTSTRAP_RESOURCES,
            command=["sh", "-c", script("metadata_db_bootstrap.sh")],
            env=[
                env("CONSUMERS_DIR", _CONSUMERS_DIR),
                env("OBSERVER_DIR", _OBSERVER_DIR),
                env("PGHOST", self._name),
                env("PGPORT", str(POSTGRES_PORT)),
                env("PGDATABASE", _ADMIN_DATABASE),
                env_from_secret("PGUSER", self.admin_secret, "username"),
                env_from_secret("PGPASSWORD", self.admin_secret, "password"),
            ],
            mounts={TMP_DIR: "tmp"},
            read_only_mounts={**mounts, _OBSERVER_DIR: self._args.observer},
        )
        template = pod_template(
            [bootstrap],
            labels={**object_labels(_NAME, role, self._args.image), **access_label(self._name)},
            # A new password makes a new Job, which sets it.
            annotations={CONFIG_ANNOTATION: self._args.secrets.fingerprint(*self._purposes())},
            uid=_UID,
            restart_policy="OnFailure",
            volumes=[
                scratch_volume("tmp", 16),
                *(secret_volume(client, secret) for client, secret in secrets.items()),
            ],
        )
        k8s.batch.v1.Job(
            role,
            metadata=k8s.meta.v1.ObjectMetaArgs(namespace=self._args.namespace, labels=self._labels),
            spec=job_spec(template, deadline_seconds=_BOOTSTRAP_DEADLINE_SECONDS),
            opts=self.child(),
        )

    def _purposes(self) -> list[str]:
        return [f"{self._name}/{role}" for role in ("admin", *self._args.consumers, self._args.observer)]

    def _metadata(self, name: str) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(name=name, namespace=self._args.namespace, labels=self._labels)
