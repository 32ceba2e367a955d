"""The platform's relational store by setting: a pod, or a server of the cloud."""

from __future__ import annotations

from typing import Any

import pulumi

from components import _versions
from components._cloud import ManagedDatabase
from components._database import DatabaseAccess
from components._secrets import SecretSource
from components.metadata_db import MetadataDb, MetadataDbArgs
from components.metadata_db_managed import ManagedMetadataDb, ManagedMetadataDbArgs
from components.settings import Settings
from ml.contracts import METADATA_DB_SERVICE, POSTGRES_PORT

CONSUMERS = (MLFLOW, EVENTS) = ("mlflow", "events")
OBSERVER = "exporter"


def create_metadata_db(
    settings: Settings,
    namespace: pulumi.Input[str],
    secrets: SecretSource,
    managed: ManagedDatabase | None,
    opts: pulumi.ResourceOptions,
) -> MetadataDb | ManagedMetadataDb:
    """Declare the store; `managed` is the server that the cloud runs in place of a pod."""
    image = settings.image(_versions.POSTGRES)
    if managed is not None:
        return ManagedMetadataDb(
            METADATA_DB_SERVICE,
            ManagedMetadataDbArgs(
                namespace=namespace,
                image=image,
                secrets=secrets,
                server=managed,
                consumers=CONSUMERS,
                observer=OBSERVER,
            ),
            opts,
        )
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


def access_of(store: MetadataDb | ManagedMetadataDb, client: str) -> DatabaseAccess:
    """Return how a consumer, or the observer, reaches its database."""
    secret = store.observer_secret if client == OBSERVER else store.consumer_secrets[client]
    return DatabaseAccess(
        secret=secret,
        fingerprint=store.consumer_fingerprint(client),
        label=METADATA_DB_SERVICE,
        authority=store.authority if isinstance(store, ManagedMetadataDb) else None,
    )


def database_outputs(store: MetadataDb | ManagedMetadataDb) -> dict[str, Any]:
    """Return what the stack tells of the store."""
    managed = isinstance(store, ManagedMetadataDb)
    return {
        **({"kind": store.kind, "host": store.host} if managed else {"service": store.service}),
        "port": POSTGRES_PORT,
        "adminSecret": store.admin_secret,
        "consumers": dict(store.consumer_secrets),
    }
