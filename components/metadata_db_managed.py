"""The relational store where a cloud runs the server: what the platform keeps of it in its namespace.

Secrets, the Job that makes databases and roles, and the way out to the server's addresses. Traffic leaves the
namespace, so every client insists on TLS and on the server's own name in a certificate of the given authorities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._cloud import ManagedDatabase
from components._database import AUTHORITY_KEY, Authority
from components._database_clients import COMPONENT, DatabaseClients, DatabaseServer
from components._labels import object_labels
from components._network import reach_outside
from components._secrets import SecretSource
from ml.contracts import POSTGRES_PORT


@dataclass(frozen=True, kw_only=True)
class ManagedMetadataDbArgs:
    """What the store needs to know of a server that somebody else runs."""

    namespace: pulumi.Input[str]
    image: str
    """With PostgreSQL's own client."""
    secrets: SecretSource
    server: ManagedDatabase
    consumers: tuple[str, ...]
    """Names of the consumers; a consumer's database and role are called like it."""
    observer: str
    """Name of who reads the server's statistics, which is also its role."""


class ManagedMetadataDb(PlatformComponent):
    """Databases, roles and Secrets in a server outside the cluster."""

    kind: str
    """What the cloud calls the server."""
    host: pulumi.Output[str]
    authority: Authority
    admin_secret: pulumi.Output[str]
    """Name of the Secret with keys username and password."""
    consumer_secrets: Mapping[str, pulumi.Output[str]]
    """Name of each consumer's Secret with keys username, password, dbname, host, port and uri."""
    observer_secret: pulumi.Output[str]
    """Name of the observer's Secret, with the same keys."""

    def __init__(self, name: str, args: ManagedMetadataDbArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        labels = object_labels(COMPONENT, name, args.image)
        self.kind, self.host = args.server.kind, pulumi.Output.from_input(args.server.host)
        authorities = k8s.core.v1.ConfigMap(
            f"{name}-authorities",
            metadata=k8s.meta.v1.ObjectMetaArgs(namespace=args.namespace, labels=labels),
            data={AUTHORITY_KEY: args.server.authorities},
            opts=self.child(),
        )
        self.authority = Authority(name=authorities.metadata.name)
        self._clients = DatabaseClients(
            self,
            DatabaseServer(name=name, host=self.host, authority=self.authority),
            namespace=args.namespace,
            image=args.image,
            secrets=args.secrets,
            consumers=args.consumers,
            observer=args.observer,
        )
        self.admin_secret = self._clients.create_administrator()
        self.consumer_secrets = self._clients.consumer_secrets
        self.observer_secret = self._clients.observer_secret
        self._clients.create_bootstrap(self.admin_secret)
        reach_outside(
            self, name, namespace=args.namespace, labels=labels, cidrs=args.server.cidrs, ports=[POSTGRES_PORT]
        )
        self.finish(
            host=self.host,
            adminSecret=self.admin_secret,
            consumerSecrets=dict(self.consumer_secrets),
            observerSecret=self.observer_secret,
        )

    def consumer_fingerprint(self, consumer: str) -> pulumi.Output[str]:
        """Return a public text that changes with the password of the consumer (or the observer)."""
        return self._clients.fingerprint(consumer)
