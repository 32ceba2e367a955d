"""What a PostgreSQL server needs for its clients, whoever runs it: their Secrets, and the Job that makes their roles
where nobody else does.

Every consumer has a database, a role and a Secret of its own. The observer has a role and a Secret too, but no
database: it may read the server's statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._database import Authority, authority_env, authority_mounts, authority_volumes
from components._labels import object_labels
from components._secrets import SecretSource
from components._workload import (
    CONFIG_ANNOTATION,
    TMP_DIR,
    Resources,
    container,
    env,
    env_from_secret,
    job_spec,
    pod_template,
    scratch_volume,
    script,
    secret_volume,
)
from ml.contracts import POSTGRES_PORT, access_label

COMPONENT = "metadata-db"
"""Value of the label app.kubernetes.io/name of everything about the relational store."""
ADMIN = "postgres"
POSTGRES_UID = 999
"""The user of the official image."""
ADMIN_DATABASE = "postgres"
_CONSUMERS_DIR = "/run/secrets/consumers"
_OBSERVER_DIR = "/run/secrets/observer"
_BOOTSTRAP_DEADLINE_SECONDS = 900
_BOOTSTRAP_RESOURCES = Resources(cpu_millis=20, memory_mib=64, memory_limit_mib=256)


@dataclass(frozen=True, kw_only=True)
class DatabaseServer:
    """A server as its clients see it."""

    name: str
    """Of the service by whose access label clients reach it; names of Secrets and purposes of passwords begin so."""
    host: pulumi.Input[str]
    authority: Authority | None = None
    """None where it offers no TLS."""
    secret_labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of the clients' Secrets, beside those of every object."""


def administrator_password(secrets: SecretSource, server: str) -> pulumi.Output[str]:
    """Return the password of the administrator of the server with this name."""
    return secrets.password(f"{server}/admin")


class DatabaseClients:
    """Who uses a server: their Secrets are made at once, the rest when the caller says so."""

    consumer_secrets: Mapping[str, pulumi.Output[str]]
    observer_secret: pulumi.Output[str]

    def __init__(
        self,
        component: PlatformComponent,
        server: DatabaseServer,
        *,
        namespace: pulumi.Input[str],
        image: str,
        secrets: SecretSource,
        consumers: tuple[str, ...],
        observer: str,
    ) -> None:
        self._component, self._server, self._secrets = component, server, secrets
        self._namespace, self._image = namespace, image
        self._observer = observer
        self._labels = object_labels(COMPONENT, server.name, image)
        self.consumer_secrets = {
            consumer: self._create_client_secret(consumer, database=consumer) for consumer in consumers
        }
        self.observer_secret = self._create_client_secret(observer, database=ADMIN_DATABASE)

    def fingerprint(self, client: str) -> pulumi.Output[str]:
        """Return a public text that changes with the password of a consumer or the observer."""
        return self._secrets.fingerprint(f"{self._server.name}/{client}")

    def create_administrator(self) -> pulumi.Output[str]:
        """Declare the Secret of the server's administrator, with keys username and password; return its name."""
        password = administrator_password(self._secrets, self._server.name)
        return self._create_secret("admin", {"username": ADMIN, "password": password})

    def create_bootstrap(self, admin_secret: pulumi.Input[str]) -> None:
        """Declare the Job that makes databases and roles, and sets their passwords; it waits for the server.

        `admin_secret` is the name of the administrator's.
        """
        server, authority = self._server, self._server.authority
        role = f"{server.name}-bootstrap"
        secrets = {**self.consumer_secrets, self._observer: self.observer_secret}
        mounts = {f"{_CONSUMERS_DIR}/{consumer}": consumer for consumer in self.consumer_secrets}
        bootstrap = container(
            "bootstrap",
            self._image,
            _BOOTSTRAP_RESOURCES,
            command=["sh", "-c", script("metadata_db_bootstrap.sh")],
            env=[
                env("CONSUMERS_DIR", _CONSUMERS_DIR),
                env("OBSERVER_DIR", _OBSERVER_DIR),
                env("PGHOST", server.host),
                env("PGPORT", str(POSTGRES_PORT)),
                env("PGDATABASE", ADMIN_DATABASE),
                env_from_secret("PGUSER", admin_secret, "username"),
                env_from_secret("PGPASSWORD", admin_secret, "password"),
                *authority_env(authority),
            ],
            mounts={TMP_DIR: "tmp"},
            read_only_mounts={**mounts, _OBSERVER_DIR: self._observer, **authority_mounts(authority)},
        )
        template = pod_template(
            [bootstrap],
            labels={**object_labels(COMPONENT, role, self._image), **access_label(server.name)},
            # A new password makes a new Job, which sets it.
            annotations={CONFIG_ANNOTATION: self._secrets.fingerprint(*self._purposes())},
            uid=POSTGRES_UID,
            restart_policy="OnFailure",
            volumes=[
                scratch_volume("tmp", 16),
                *(secret_volume(client, secret) for client, secret in secrets.items()),
                *authority_volumes(authority),
            ],
        )
        k8s.batch.v1.Job(
            role,
            metadata=k8s.meta.v1.ObjectMetaArgs(namespace=self._namespace, labels=self._labels),
            spec=job_spec(template, deadline_seconds=_BOOTSTRAP_DEADLINE_SECONDS),
            opts=self._component.child(),
        )

    def _create_client_secret(self, client: str, *, database: str) -> pulumi.Output[str]:
        password = self._secrets.password(f"{self._server.name}/{client}")
        user, path = quote(client), quote(database)
        demand = "" if self._server.authority is None else "?sslmode=verify-full"
        address = pulumi.Output.format("@{0}:{1}/{2}{3}", self._server.host, POSTGRES_PORT, path, demand)
        data = {
            "username": client,
            "password": password,
            "dbname": database,
            "host": self._server.host,
            "port": str(POSTGRES_PORT),
            "uri": pulumi.Output.concat(f"postgresql://{user}:", password, address),
        }
        return self._create_secret(client, data)

    def _create_secret(self, role: str, data: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
        name = f"{self._server.name}-{role}"
        labels = {**self._labels, **self._server.secret_labels}
        secret = k8s.core.v1.Secret(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=name, namespace=self._namespace, labels=labels),
            string_data=dict(data),
            opts=self._component.child(),
        )
        return secret.metadata.name

    def _purposes(self) -> list[str]:
        clients = ("admin", *self.consumer_secrets, self._observer)
        return [f"{self._server.name}/{client}" for client in clients]
