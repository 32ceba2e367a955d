"""Reads the statistics of the relational store for Prometheus: connections, transactions, locks and sizes.

It runs beside the server and not in its pod, so that a new version of it does not restart the database.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._database import AUTHORITY_FILE, DatabaseAccess, authority_mounts, authority_volumes
from components._labels import object_labels, selector_labels
from components._workload import (
    CONFIG_ANNOTATION,
    Resources,
    container,
    env,
    env_from_secret,
    http_probe,
    pod_template,
    secret_volume,
)
from ml.contracts import DATABASE_EXPORTER, DATABASE_EXPORTER_PORT, access_label

_NAME = DATABASE_EXPORTER
_SECRET_DIR = "/run/secrets/database"  # noqa: S105 a path
_RESOURCES = Resources(cpu_millis=10, memory_mib=32, memory_limit_mib=128)


@dataclass(frozen=True, kw_only=True)
class DatabaseExporterArgs:
    """What the exporter needs to know."""

    namespace: pulumi.Input[str]
    image: str
    database: DatabaseAccess
    """The observer's."""


class DatabaseExporter(PlatformComponent):
    """The exporter's Deployment. Monitoring opens the way to it, as to everything that is measured."""

    deployment: pulumi.Output[str]

    def __init__(self, name: str, args: DatabaseExporterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        labels, selector = object_labels(_NAME, name, args.image), selector_labels(_NAME, name)
        template = pod_template(
            [self._container(args)],
            labels={**labels, **access_label(args.database.label)},
            annotations={CONFIG_ANNOTATION: args.database.fingerprint},
            volumes=[
                secret_volume("database", args.database.secret),
                *authority_volumes(args.database.authority),
            ],
        )
        deployment = k8s.apps.v1.Deployment(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=name, namespace=args.namespace, labels=labels),
            spec=k8s.apps.v1.DeploymentSpecArgs(
                replicas=1, selector=k8s.meta.v1.LabelSelectorArgs(match_labels=selector), template=template
            ),
            opts=self.child(),
        )
        self.deployment = deployment.metadata.name
        self.finish(deployment=self.deployment)

    def _container(self, args: DatabaseExporterArgs) -> k8s.core.v1.ContainerArgs:
        secret, authority = args.database.secret, args.database.authority
        # A server without TLS lies within the namespace, and so does the way to it.
        demand = "sslmode=disable" if authority is None else f"sslmode=verify-full&sslrootcert={AUTHORITY_FILE}"
        return container(
            "exporter",
            args.image,
            _RESOURCES,
            command=["postgres_exporter"],
            args=[f"--web.listen-address=:{DATABASE_EXPORTER_PORT}"],
            env=[
                env_from_secret("DATABASE_HOST", secret, "host"),
                env_from_secret("DATABASE_PORT", secret, "port"),
                env_from_secret("DATABASE_NAME", secret, "dbname"),
                env("DATA_SOURCE_URI", f"$(DATABASE_HOST):$(DATABASE_PORT)/$(DATABASE_NAME)?{demand}"),
                env("DATA_SOURCE_USER_FILE", f"{_SECRET_DIR}/username"),
                env("DATA_SOURCE_PASS_FILE", f"{_SECRET_DIR}/password"),
            ],
            ports={"http-metrics": DATABASE_EXPORTER_PORT},
            read_only_mounts={_SECRET_DIR: "database", **authority_mounts(authority)},
            # The page without figures: a database that is away is the database's failure, told by `pg_up`.
            startup=http_probe("/", "http-metrics", period_seconds=2, failures=30),
            readiness=http_probe("/", "http-metrics", period_seconds=10),
            liveness=http_probe("/", "http-metrics", period_seconds=10, failures=6),
        )
