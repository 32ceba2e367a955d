"""How the platform keeps what was learned: the tracking server, with the database and the bucket that the stack has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi

from components import _versions
from components._cloud import ManagedBucket
from components._database import DatabaseAccess
from components._network import GatewayPeer
from components._secrets import SecretSource
from components._tracking_stores import BucketAccess, CloudBucket
from components.object_store import ObjectStore
from components.platform_database import MLFLOW
from components.settings import Settings
from components.tracking_server import TrackingServer, TrackingServerArgs
from ml.contracts import OBJECT_STORE_SERVICE, TRACKING_SERVER_SERVICE

ARTIFACTS: Final = "mlflow-artifacts"
"""The bucket of the platform's own store."""


@dataclass(frozen=True, kw_only=True)
class TrackingSurroundings:
    """What of the platform the tracking server uses."""

    namespace: pulumi.Output[str]
    secrets: SecretSource
    database: DatabaseAccess
    store: ObjectStore | ManagedBucket
    """The platform's own, or the bucket of the cloud's."""
    public_host: str | None
    """None where nobody opens its page."""
    page_front: GatewayPeer | None
    """Who alone may call the web page; None if nobody opens it."""


def create_tracking_server(
    settings: Settings, around: TrackingSurroundings, opts: pulumi.ResourceOptions
) -> TrackingServer:
    """Declare MLflow as the settings want it."""
    tracking = settings.tracking_server
    return TrackingServer(
        TRACKING_SERVER_SERVICE,
        TrackingServerArgs(
            namespace=around.namespace,
            namespace_name=settings.namespace,
            image=settings.image(_versions.MLFLOW),
            secrets=around.secrets,
            database=around.database,
            artifacts=_artifacts(around.store),
            public_host=around.public_host,
            gateway=around.page_front,
            allowed_hosts=tracking.allowed_hosts,
            workers=tracking.workers,
            replicas=settings.replicas("tracking_server"),
            cpu_millis=tracking.cpu_millis,
            memory_per_worker_mib=tracking.memory_per_worker_mib,
            workspaces=bool(settings.teams),
        ),
        opts,
    )


def _artifacts(store: ObjectStore | ManagedBucket) -> BucketAccess | CloudBucket:
    if isinstance(store, ManagedBucket):
        return CloudBucket(bucket=store.name, region=store.region)
    return BucketAccess(
        secret=store.consumer_secrets[MLFLOW],
        bucket=ARTIFACTS,
        endpoint=store.endpoint,
        fingerprint=store.consumer_fingerprint(MLFLOW),
        label=OBJECT_STORE_SERVICE,
    )
