"""The platform's relational store by setting: a pod, a cluster of pods with backups, or a server of the cloud."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import _versions
from components._backups import ACCESS_KEY, SECRET_KEY, BackupStore
from components._charts import CHARTS
from components._cloud import CloudParts, ManagedBucket
from components._database import DatabaseAccess
from components._database_cluster import Restore, cluster_pods
from components._labels import object_labels
from components._network import GatewayPeer
from components._scraping import DistantTarget, Elsewhere
from components._secrets import SecretSource
from components.metadata_db import MetadataDb, MetadataDbArgs
from components.metadata_db_cloudnative import METRICS_PORT, CloudNativeMetadataDb, CloudNativeMetadataDbArgs
from components.metadata_db_managed import ManagedMetadataDb, ManagedMetadataDbArgs
from components.object_store import ObjectStore
from components.settings import Settings
from components.settings_database_cluster import CLOUD_NATIVE_PG, LATEST, DatabaseClusterSettings
from ml.contracts import METADATA_DB_SERVICE, OBJECT_STORE_SERVICE, POSTGRES_PORT, access_label

CONSUMERS = (MLFLOW, EVENTS) = ("mlflow", "events")
OBSERVER = "exporter"
CLUSTER_TARGET = "metadata-db-cluster"
"""Job under which Prometheus reads the servers of a cluster."""
BACKUPS = "backups"
"""The store's consumer, and its bucket, where backups lie in the platform's own."""
_OPERATOR = CHARTS["cloudNativePg"]
Store = MetadataDb | CloudNativeMetadataDb | ManagedMetadataDb


def create_metadata_db(
    settings: Settings,
    namespace: pulumi.Input[str],
    secrets: SecretSource,
    cloud: CloudParts | None,
    object_store: ObjectStore | None,
    opts: pulumi.ResourceOptions,
) -> Store:
    """Declare the store.

    Args:
        settings: the stack's.
        namespace: the platform's.
        secrets: of which passwords are derived.
        cloud: has a server where the cloud runs it, and a bucket where it keeps backups.
        object_store: the platform's own, if it has one.
        opts: of the store.
    """
    image = settings.image(_versions.POSTGRES)
    if cloud is not None and cloud.database is not None:
        return ManagedMetadataDb(
            METADATA_DB_SERVICE,
            ManagedMetadataDbArgs(
                namespace=namespace,
                image=image,
                secrets=secrets,
                server=cloud.database,
                consumers=CONSUMERS,
                observer=OBSERVER,
            ),
            opts,
        )
    if settings.metadata_db.is_cluster:
        backups = _backup_store(settings, namespace, cloud.backups if cloud else None, object_store, opts)
        return _create_cluster(settings, namespace, secrets, backups, opts)
    return MetadataDb(
        METADATA_DB_SERVICE,
        MetadataDbArgs(
            namespace=namespace,
            image=image,
            secrets=secrets,
            consumers=CONSUMERS,
            observer=OBSERVER,
            storage_gib=settings.metadata_db.storage_gib,
            storage_class=settings.storage_class,
            max_connections=settings.metadata_db.max_connections,
            resources=settings.metadata_db.resources,
            protect=settings.protect_data,
        ),
        opts,
    )


def _create_cluster(
    settings: Settings,
    namespace: pulumi.Input[str],
    secrets: SecretSource,
    backups: BackupStore,
    opts: pulumi.ResourceOptions,
) -> CloudNativeMetadataDb:
    servers = settings.metadata_db.servers
    return CloudNativeMetadataDb(
        METADATA_DB_SERVICE,
        CloudNativeMetadataDbArgs(
            namespace=namespace,
            image=settings.image(_versions.POSTGRES_CLUSTER),
            secrets=secrets,
            consumers=CONSUMERS,
            observer=OBSERVER,
            instances=servers.instances,
            storage_gib=settings.metadata_db.storage_gib,
            wal_storage_gib=servers.wal_storage_gib,
            storage_class=settings.storage_class,
            max_connections=settings.metadata_db.max_connections,
            resources=settings.metadata_db.resources,
            backups=backups,
            backup_days=servers.backup_days,
            archive=_archive(servers.generation),
            restore=_restore(servers),
            apart=settings.aws is not None and settings.aws.highly_available,
            operator=_operator(),
            protect=settings.protect_data,
        ),
        opts,
    )


def _backup_store(
    settings: Settings,
    namespace: pulumi.Input[str],
    bucket: ManagedBucket | None,
    object_store: ObjectStore | None,
    opts: pulumi.ResourceOptions,
) -> BackupStore:
    if bucket is not None:
        return BackupStore(folder=f"s3://{bucket.name}/{METADATA_DB_SERVICE}", region=bucket.region)
    external = settings.metadata_db.servers.external
    if external is not None and settings.backup_secret is not None:
        secret = k8s.core.v1.Secret(
            f"{METADATA_DB_SERVICE}-backups",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=f"{METADATA_DB_SERVICE}-backups",
                namespace=namespace,
                labels=object_labels(METADATA_DB_SERVICE, METADATA_DB_SERVICE),
            ),
            string_data={
                ACCESS_KEY: external.access_key,
                SECRET_KEY: pulumi.Output.secret(settings.backup_secret.reveal()),
            },
            opts=opts,
        )
        return BackupStore(
            folder=external.destination,
            region=external.region,
            secret=secret.metadata.name.apply(str),
            endpoint=external.endpoint,
        )
    if object_store is None:
        raise ValueError("backups have nowhere to go")
    return BackupStore(
        folder=f"s3://{BACKUPS}/{METADATA_DB_SERVICE}",
        region="us-east-1",
        secret=object_store.consumer_secrets[BACKUPS],
        endpoint=object_store.endpoint,
        pod_labels=access_label(OBJECT_STORE_SERVICE),
    )


def backup_buckets(settings: Settings) -> dict[str, str]:
    """Return the bucket of the platform's own store in which backups lie, by its consumer; nothing if they do not."""
    own = settings.metadata_db.is_cluster and settings.aws is None and settings.metadata_db.servers.external is None
    return {BACKUPS: BACKUPS} if own else {}


def measured_servers(settings: Settings, namespace: pulumi.Input[str]) -> tuple[Elsewhere, ...]:
    """Return what Prometheus reads of a cluster's servers; nothing where there is no cluster."""
    if not settings.metadata_db.is_cluster:
        return ()
    target = DistantTarget(job=CLUSTER_TARGET, selector=cluster_pods(METADATA_DB_SERVICE), port=METRICS_PORT)
    return (Elsewhere(namespace=namespace, namespace_name=settings.namespace, targets=(target,)),)


def operators(settings: Settings) -> tuple[str, ...]:
    """Return the namespaces of operators that make pods in the platform's."""
    return (_OPERATOR.namespace,) if settings.metadata_db.is_cluster else ()


def _operator() -> GatewayPeer:
    return GatewayPeer(namespace=_OPERATOR.namespace, selector={"app.kubernetes.io/name": _OPERATOR.name})


def _archive(generation: int) -> str:
    return f"{METADATA_DB_SERVICE}-{generation}"


def _restore(servers: DatabaseClusterSettings) -> Restore | None:
    if servers.restore_to is None:
        return None
    moment = None if servers.restore_to == LATEST else servers.restore_to
    return Restore(source=_archive(servers.generation - 1), moment=moment)


def access_of(store: Store, client: str) -> DatabaseAccess:
    """Return how a consumer, or the observer, reaches its database."""
    secret = store.observer_secret if client == OBSERVER else store.consumer_secrets[client]
    return DatabaseAccess(
        secret=secret,
        fingerprint=store.consumer_fingerprint(client),
        label=METADATA_DB_SERVICE,
        authority=None if isinstance(store, MetadataDb) else store.authority,
    )


def database_outputs(store: Store) -> dict[str, Any]:
    """Return what the stack tells of the store."""
    shared = {"port": POSTGRES_PORT, "consumers": dict(store.consumer_secrets)}
    if isinstance(store, CloudNativeMetadataDb):
        return {"kind": CLOUD_NATIVE_PG, "service": store.service, **shared}
    managed = isinstance(store, ManagedMetadataDb)
    return {
        **({"kind": store.kind, "host": store.host} if managed else {"service": store.service}),
        "adminSecret": store.admin_secret,
        **shared,
    }
