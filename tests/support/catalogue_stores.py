"""One example of every component that keeps data; `tests.support.catalogue` shows them all."""

from __future__ import annotations

from components._backups import BackupStore
from components._cloud import ManagedDatabase
from components._network import GatewayPeer
from components._tracking_stores import BucketAccess
from components.metadata_db import MetadataDbArgs
from components.metadata_db_cloudnative import CloudNativeMetadataDbArgs
from components.metadata_db_managed import ManagedMetadataDbArgs
from components.object_store import ObjectStoreArgs
from components.tracking_server import TrackingServerArgs
from tests.support import catalogue_cloud as cloud
from tests.support.catalogue_values import CLIENT_IMAGE, DATABASE, GATEWAY, IMAGE, RESOURCES, secrets


def metadata_db(instance: str) -> MetadataDbArgs:
    return MetadataDbArgs(
        namespace=instance,
        image=IMAGE,
        secrets=secrets(),
        consumers=("mlflow", "events"),
        observer="exporter",
        storage_gib=7,
        storage_class="fast",
        max_connections=123,
        resources=RESOURCES,
        protect=True,
    )


def cloudnative_metadata_db(instance: str) -> CloudNativeMetadataDbArgs:
    return CloudNativeMetadataDbArgs(
        namespace=instance,
        image=IMAGE,
        secrets=secrets(),
        consumers=("mlflow", "events"),
        observer="exporter",
        instances=3,
        storage_gib=7,
        wal_storage_gib=2,
        storage_class="fast",
        max_connections=123,
        resources=RESOURCES,
        backups=BackupStore(folder="s3://backups/db", region="eu-west-1"),
        backup_days=21,
        archive=f"{instance}-1",
        restore=None,
        apart=True,
        operator=GatewayPeer(namespace="cnpg-system", selector={"app.kubernetes.io/name": "cloudnative-pg"}),
        protect=True,
    )


def managed_metadata_db(instance: str) -> ManagedMetadataDbArgs:
    return ManagedMetadataDbArgs(
        namespace=instance,
        image=IMAGE,
        secrets=secrets(),
        server=ManagedDatabase(
            kind="rds", host=f"{instance}.example.org", cidrs=("10.8.252.0/24",), authorities=cloud.AUTHORITIES
        ),
        consumers=("mlflow", "events"),
        observer="exporter",
    )


def object_store(instance: str) -> ObjectStoreArgs:
    return ObjectStoreArgs(
        namespace=instance,
        image=IMAGE,
        client_image=CLIENT_IMAGE,
        secrets=secrets(),
        buckets={"mlflow": "mlflow-artifacts", "backup": "backups"},
        gateway=GATEWAY,
        storage_gib=8,
        storage_class=None,
        resources=RESOURCES,
        protect=True,
    )


def tracking_server(instance: str) -> TrackingServerArgs:
    return TrackingServerArgs(
        namespace=instance,
        namespace_name="research",
        image=IMAGE,
        secrets=secrets(),
        database=DATABASE,
        artifacts=BucketAccess(
            secret="bucket-secret",
            bucket="artifacts",
            endpoint="http://s3:9000",
            fingerprint="s31",
            label="object-store",
        ),
        public_host="mlflow.example.org",
        gateway=GATEWAY,
        allowed_hosts=("10.*",),
        workers=3,
        replicas=2,
        cpu_millis=300,
        memory_per_worker_mib=500,
    )
