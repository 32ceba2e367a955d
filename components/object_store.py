"""The object store: one MinIO server in which every consumer has a versioned bucket and a key pair that opens only it.

One more user may read metrics and no object; Prometheus shows a token of it.

Leaves out erasure coding and replication: this is the store of a cluster without an S3 service of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._labels import object_labels, selector_labels
from components._network import GatewayPeer, offer_service
from components._secrets import SecretSource
from components._stateful import claim, stateful_set
from components._tokens import minio_metrics_token
from components._workload import (
    CONFIG_ANNOTATION,
    TMP_DIR,
    Resources,
    container,
    data_priority,
    env,
    env_from_secret,
    http_probe,
    job_spec,
    pod_template,
    scratch_volume,
    script,
    secret_volume,
)
from ml.contracts import S3_CONSOLE_PORT, S3_PORT, access_label

_NAME = "object-store"
_ADMIN = "admin"
_DATA_DIR = "/data"
_ADMIN_SECRET_DIR = "/run/secrets/admin"  # noqa: S105 a path
_CONSUMERS_DIR = "/run/secrets/consumers"
_OBSERVER_DIR = "/run/secrets/observer"
_OBSERVER = "monitoring"
_BOOTSTRAP_DEADLINE_SECONDS = 900
_BOOTSTRAP_RESOURCES = Resources(cpu_millis=20, memory_mib=64, memory_limit_mib=256)


@dataclass(frozen=True, kw_only=True)
class ObjectStoreArgs:
    """What the object store needs to know."""

    namespace: pulumi.Input[str]
    image: str
    client_image: str
    """Image with the `mc` client, which sets up buckets and users."""
    secrets: SecretSource
    buckets: Mapping[str, str]
    """Bucket of each consumer."""
    gateway: GatewayPeer | None
    """Who may open the console from outside; None if nobody does."""
    """Who may reach the console."""
    storage_gib: int
    storage_class: str | None
    """None takes the cluster's default class."""
    resources: Resources
    protect: bool
    """Whether the data outlives a deletion of the component, and Pulumi refuses to delete it."""


class ObjectStore(PlatformComponent):
    """A MinIO server with a bucket per consumer."""

    service: pulumi.Output[str]
    admin_secret: pulumi.Output[str]
    """Name of the Secret with keys username and password."""
    consumer_secrets: Mapping[str, pulumi.Output[str]]
    """Name of each consumer's Secret with keys access-key, secret-key, bucket and endpoint."""
    metrics_secret: pulumi.Output[str]
    """Name of the Secret whose key token opens the metrics and nothing else."""

    def __init__(self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        self._labels = object_labels(_NAME, name, args.image)
        self._selector = selector_labels(_NAME, name)
        self.service = self._create_service()
        self.admin_secret = self._create_secret(
            "admin", {"username": _ADMIN, "password": args.secrets.password(f"{name}/admin")}
        )
        self.consumer_secrets = {consumer: self._create_consumer_secret(consumer) for consumer in args.buckets}
        self._observer_secret, self.metrics_secret = self._create_observer_secrets()
        self.server = self._create_server()
        self._create_bootstrap()
        offer_service(
            self,
            name,
            namespace=args.namespace,
            labels=self._labels,
            selector=self._selector,
            ports=[S3_PORT],
            gateways=[args.gateway],
            gateway_ports=[S3_CONSOLE_PORT],
        )
        self.finish(
            service=self.service,
            adminSecret=self.admin_secret,
            consumerSecrets=dict(self.consumer_secrets),
            metricsSecret=self.metrics_secret,
        )

    @property
    def endpoint(self) -> str:
        """Address of the S3 API inside the namespace."""
        return f"http://{self._name}:{S3_PORT}"

    def consumer_fingerprint(self, consumer: str) -> pulumi.Output[str]:
        """Return a public text that changes with the consumer's secret key."""
        return self._args.secrets.fingerprint(f"{self._name}/{consumer}")

    def consumer_secret_key(self, consumer: str) -> pulumi.Output[str]:
        """Return the consumer's secret key, for a Secret in another namespace; its access key is its name."""
        return self._args.secrets.password(f"{self._name}/{consumer}")

    def _create_service(self) -> pulumi.Output[str]:
        service = k8s.core.v1.Service(
            self._name,
            metadata=self._metadata(self._name),
            spec=k8s.core.v1.ServiceSpecArgs(
                selector=self._selector,
                ports=[
                    k8s.core.v1.ServicePortArgs(name="http-s3", port=S3_PORT, target_port="s3"),
                    k8s.core.v1.ServicePortArgs(name="http-console", port=S3_CONSOLE_PORT, target_port="console"),
                ],
            ),
            opts=self.child(),
        )
        return service.metadata.name

    def _create_consumer_secret(self, consumer: str) -> pulumi.Output[str]:
        data = {
            "access-key": consumer,
            "secret-key": self._args.secrets.password(f"{self._name}/{consumer}"),
            "bucket": self._args.buckets[consumer],
            "endpoint": self.endpoint,
        }
        return self._create_secret(consumer, data)

    def _create_observer_secrets(self) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """The key of the user that may read metrics, for the bootstrap; and a token signed with it, for Prometheus."""
        key = self._args.secrets.password(f"{self._name}/{_OBSERVER}")
        token = key.apply(lambda value: minio_metrics_token(_OBSERVER, value))
        return (
            self._create_secret(_OBSERVER, {"access-key": _OBSERVER, "secret-key": key}),
            self._create_secret("metrics", {"token": token}),
        )

    def _create_secret(self, role: str, data: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
        secret = k8s.core.v1.Secret(
            f"{self._name}-{role}",
            metadata=self._metadata(f"{self._name}-{role}"),
            string_data=dict(data),
            opts=self.child(),
        )
        return secret.metadata.name

    def _create_server(self) -> k8s.apps.v1.StatefulSet:
        server = container(
            "server",
            self._args.image,
            self._args.resources,
            command=["minio", "server", _DATA_DIR],
            args=["--address", f":{S3_PORT}", "--console-address", f":{S3_CONSOLE_PORT}"],
            env=[
                env("MINIO_ROOT_USER_FILE", f"{_ADMIN_SECRET_DIR}/username"),
                env("MINIO_ROOT_PASSWORD_FILE", f"{_ADMIN_SECRET_DIR}/password"),
                # Metrics share the port of the objects: a client of the store must not learn of others' buckets.
                env("MINIO_PROMETHEUS_AUTH_TYPE", "jwt"),
                env("MINIO_UPDATE", "off"),
                env("HOME", TMP_DIR),
            ],
            ports={"s3": S3_PORT, "console": S3_CONSOLE_PORT},
            mounts={_DATA_DIR: "data", TMP_DIR: "tmp"},
            read_only_mounts={_ADMIN_SECRET_DIR: "admin"},
            startup=http_probe("/minio/health/live", "s3", period_seconds=2, failures=150),
            readiness=http_probe("/minio/health/ready", "s3", period_seconds=5),
            liveness=http_probe("/minio/health/live", "s3", period_seconds=10, failures=6),
        )
        template = pod_template(
            [server],
            labels=self._labels,
            priority=data_priority(self._args.namespace),
            # MinIO reads its root password at every start.
            annotations={CONFIG_ANNOTATION: self._args.secrets.fingerprint(f"{self._name}/admin")},
            volumes=[scratch_volume("tmp", 256), secret_volume("admin", self.admin_secret)],
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
        secrets = {**self.consumer_secrets, _OBSERVER: self._observer_secret}
        mounts = {f"{_CONSUMERS_DIR}/{consumer}": consumer for consumer in self.consumer_secrets}
        bootstrap = container(
            "bootstrap",
            self._args.client_image,
            _BOOTSTRAP_RESOURCES,
            command=["sh", "-c", script("object_store_bootstrap.sh")],
            env=[
                env_from_secret("ADMIN_USER", self.admin_secret, "username"),
                env_from_secret("ADMIN_PASSWORD", self.admin_secret, "password"),
                env("MC_HOST_store", f"http://$(ADMIN_USER):$(ADMIN_PASSWORD)@{self._name}:{S3_PORT}"),
                env("MC_CONFIG_DIR", f"{TMP_DIR}/mc"),
                env("CONSUMERS_DIR", _CONSUMERS_DIR),
                env("OBSERVER_DIR", _OBSERVER_DIR),
                env("HOME", TMP_DIR),
            ],
            mounts={TMP_DIR: "tmp"},
            read_only_mounts={**mounts, _OBSERVER_DIR: _OBSERVER},
        )
        template = pod_template(
            [bootstrap],
            labels={**object_labels(_NAME, role, self._args.client_image), **access_label(self._name)},
            # A new key makes a new Job, which sets it.
            annotations={CONFIG_ANNOTATION: self._args.secrets.fingerprint(*self._purposes())},
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
        return [f"{self._name}/{role}" for role in ("admin", *self._args.buckets, _OBSERVER)]

    def _metadata(self, name: str) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(name=name, namespace=self._args.namespace, labels=self._labels)
