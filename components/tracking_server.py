"""The tracking server and model registry: MLflow over the relational store and the object store.

A Job creates or migrates the database schema; the servers start after it, for two servers that find an empty database
at the same time break it. Clients need no credentials of the stores: artifacts pass through the server. Leaves out
authentication: what stands in front of the page does it (components.page_login).
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._accounts import service_account
from components._base import PlatformComponent
from components._database import DatabaseAccess, authority_mounts, authority_volumes
from components._disruption import disruption_budget, takes_turns
from components._labels import object_labels, selector_labels
from components._network import GatewayPeer, allow_cloud, network_policy, offer_service
from components._secrets import SecretSource
from components._tracking_stores import BucketAccess, CloudBucket, artifact_env, database_env
from components._workload import (
    CONFIG_ANNOTATION,
    TMP_DIR,
    UNLISTED_SECONDS,
    Resources,
    container,
    env,
    env_from_secret,
    http_probe,
    job_spec,
    pod_template,
    scratch_volume,
    serving_priority,
)
from ml.contracts import MLFLOW_PORT, access_label

_NAME = "tracking-server"
_METRICS_DIR = "/metrics"
_MIGRATION_DEADLINE_SECONDS = 900
_MIGRATION_RESOURCES = Resources(cpu_millis=100, memory_mib=256, memory_limit_mib=1024)
# `mlflow db upgrade` takes the address with the password as an argument, and arguments can be read by every process:
# so its arguments are given to it inside the process.
_MIGRATE = (
    "import os; from mlflow.db import commands; "
    "commands(['upgrade', os.environ['MLFLOW_BACKEND_STORE_URI']], prog_name='mlflow db')"
)


@dataclass(frozen=True, kw_only=True)
class TrackingServerArgs:
    """What the tracking server needs to know."""

    namespace: pulumi.Input[str]
    namespace_name: str
    """The namespace's name as a plain text: the host names that clients use contain it."""
    image: str
    secrets: SecretSource
    database: DatabaseAccess
    artifacts: BucketAccess | CloudBucket
    public_host: str | None
    """None for a server that is not reached from outside."""
    gateway: GatewayPeer | None
    """Who may reach the server from outside the namespace, or stands in front of it; None if nobody does."""
    allowed_hosts: tuple[str, ...]
    """Further host patterns that may be asked for, such as the pods' addresses, by which metrics are read."""
    workers: int
    replicas: int | None
    """None where an autoscaler decides."""
    cpu_millis: int
    memory_per_worker_mib: int
    """Limit per worker process; the parent process counts as one more."""
    workspaces: bool = False
    """Whether experiments and models are kept apart by workspace; callers who name none share the first one."""


class TrackingServer(PlatformComponent):
    """MLflow with its migration Job."""

    service: pulumi.Output[str]
    deployment: pulumi.Output[str]
    url: str
    """Address inside the namespace."""

    def __init__(self, name: str, args: TrackingServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        self._labels = object_labels(_NAME, name, args.image)
        self._selector = selector_labels(_NAME, name)
        self.url = f"http://{name}:{MLFLOW_PORT}"
        self.service = self._create_service()
        keys = self._create_keys()
        self._account = self._create_account() if isinstance(args.artifacts, CloudBucket) else None
        migration = self._create_migration()
        self.server = self._create_server(keys, migration)
        if takes_turns(args.replicas):
            disruption_budget(self, name, args.namespace, self._labels, self._selector)
        offer_service(
            self,
            name,
            namespace=args.namespace,
            labels=self._labels,
            selector=self._selector,
            ports=[MLFLOW_PORT],
            gateways=[args.gateway],
            gateway_ports=[MLFLOW_PORT],
        )
        self.deployment = self.server.metadata.name.apply(str)
        self.finish(service=self.service, url=self.url)

    def _create_service(self) -> pulumi.Output[str]:
        service = k8s.core.v1.Service(
            self._name,
            metadata=self._metadata(self._name),
            spec=k8s.core.v1.ServiceSpecArgs(
                selector=self._selector,
                ports=[k8s.core.v1.ServicePortArgs(name="http", port=MLFLOW_PORT, target_port="http")],
            ),
            opts=self.child(),
        )
        return service.metadata.name

    def _create_keys(self) -> pulumi.Output[str]:
        """Keys that all replicas must share; MLflow would take public defaults or random ones."""
        secrets = self._args.secrets
        keys = k8s.core.v1.Secret(
            f"{self._name}-keys",
            metadata=self._metadata(f"{self._name}-keys"),
            string_data={
                "crypto-passphrase": secrets.password(f"{self._name}/crypto"),
                "webhook-key": secrets.fernet_key(f"{self._name}/webhook"),
            },
            opts=self.child(),
        )
        return keys.metadata.name

    def _create_account(self) -> pulumi.Output[str]:
        """Declare who the pods are to the cloud, and let them call it."""
        out = allow_cloud(self._selector)
        network_policy(self, f"{self._name}-cloud", out, namespace=self._args.namespace, labels=self._labels)
        return service_account(self, self._name, self._args.namespace, self._labels)

    def _create_migration(self) -> k8s.batch.v1.Job:
        role = f"{self._name}-migration"
        migration = container(
            "migration",
            self._args.image,
            _MIGRATION_RESOURCES,
            command=["python3", "-c", _MIGRATE],
            env=[*database_env(self._args.database), *self._common_env()],
            mounts={TMP_DIR: "tmp"},
            read_only_mounts=authority_mounts(self._args.database.authority),
        )
        template = pod_template(
            [migration],
            labels={**object_labels(_NAME, role, self._args.image), **access_label(self._args.database.label)},
            annotations={CONFIG_ANNOTATION: self._args.database.fingerprint},
            restart_policy="OnFailure",
            volumes=[scratch_volume("tmp", 256), *authority_volumes(self._args.database.authority)],
        )
        return k8s.batch.v1.Job(
            role,
            metadata=k8s.meta.v1.ObjectMetaArgs(namespace=self._args.namespace, labels=self._labels),
            spec=job_spec(template, deadline_seconds=_MIGRATION_DEADLINE_SECONDS),
            opts=self.child(),
        )

    def _create_server(self, keys: pulumi.Output[str], migration: k8s.batch.v1.Job) -> k8s.apps.v1.Deployment:
        args = self._args
        store = args.artifacts if isinstance(args.artifacts, BucketAccess) else None
        fingerprints = [
            args.database.fingerprint,
            *([store.fingerprint] if store else []),
            args.secrets.fingerprint(f"{self._name}/crypto", f"{self._name}/webhook"),
        ]
        template = pod_template(
            [self._server_container(keys)],
            priority=serving_priority(self._args.namespace),
            labels={
                **self._labels,
                **access_label(args.database.label),
                **(access_label(store.label) if store else {}),
            },
            annotations={CONFIG_ANNOTATION: pulumi.Output.all(*fingerprints).apply("-".join)},
            identity=self._account,
            volumes=[
                scratch_volume("tmp", 1024),
                scratch_volume("metrics", 64),
                *authority_volumes(args.database.authority),
            ],
            spread=self._selector if takes_turns(args.replicas) else None,
        )
        return k8s.apps.v1.Deployment(
            self._name,
            metadata=self._metadata(self._name),
            spec=k8s.apps.v1.DeploymentSpecArgs(
                replicas=args.replicas,
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels=self._selector),
                template=template,
            ),
            opts=self.child(depends_on=[migration]),
        )

    def _server_container(self, keys: pulumi.Output[str]) -> k8s.core.v1.ContainerArgs:
        args = self._args
        memory_limit_mib = args.memory_per_worker_mib * (args.workers + 1)
        return container(
            "server",
            args.image,
            Resources(cpu_millis=args.cpu_millis, memory_mib=memory_limit_mib // 2, memory_limit_mib=memory_limit_mib),
            command=["mlflow", "server"],
            args=[
                "--host=0.0.0.0",
                f"--port={MLFLOW_PORT}",
                f"--workers={args.workers}",
                f"--expose-prometheus={_METRICS_DIR}",
                f"--artifacts-destination=s3://{args.artifacts.bucket}",
                f"--allowed-hosts={','.join(self._allowed_hosts())}",
                *self._origins(),
            ],
            env=[
                *database_env(args.database),
                *artifact_env(args.artifacts),
                env_from_secret("MLFLOW_CRYPTO_KEK_PASSPHRASE", keys, "crypto-passphrase"),
                env_from_secret("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", keys, "webhook-key"),
                # Its consumer processes need 2 GiB, and nothing here uses them.
                env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"),
                *([env("MLFLOW_ENABLE_WORKSPACES", "true")] if args.workspaces else []),
                *self._common_env(),
            ],
            ports={"http": MLFLOW_PORT},
            mounts={TMP_DIR: "tmp", _METRICS_DIR: "metrics"},
            read_only_mounts=authority_mounts(args.database.authority),
            startup=http_probe("/health", "http", period_seconds=2, failures=120),
            readiness=http_probe("/health", "http", period_seconds=5),
            liveness=http_probe("/health", "http", period_seconds=10, failures=6),
            drain_seconds=UNLISTED_SECONDS if takes_turns(args.replicas) else 0,
        )

    def _common_env(self) -> list[k8s.core.v1.EnvVarArgs]:
        return [env("MLFLOW_DISABLE_TELEMETRY", "true"), env("HOME", TMP_DIR)]

    def _allowed_hosts(self) -> list[str]:
        """MLflow compares the whole Host header, so each name is listed with and without a port."""
        namespace = self._args.namespace_name
        names = [
            self._name,
            f"{self._name}.{namespace}",
            f"{self._name}.{namespace}.svc",
            f"{self._name}.{namespace}.svc.cluster.local",
            *([self._args.public_host] if self._args.public_host else []),
            # A port forwarded to the pod.
            "localhost",
            "127.0.0.1",
        ]
        return [*(form for name in names for form in (name, f"{name}:*")), *self._args.allowed_hosts]

    def _origins(self) -> list[str]:
        host = self._args.public_host
        return [] if host is None else [f"--cors-allowed-origins=http://{host},https://{host}"]

    def _metadata(self, name: str) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(name=name, namespace=self._args.namespace, labels=self._labels)
