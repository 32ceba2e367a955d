"""How the platform arranges the pipeline service: what it gets of the other components, and what they do for it.

A stack without the service has none of this: pipelines run in a Job there, by Kubeflow's local runner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components import _versions
from components._labels import selector_labels
from components._network import GatewayPeer, ServicePeer
from components._pipelines.server import ServerImages
from components._pipelines.store import ArtifactStore
from components._scraping import Elsewhere
from components._secrets import SecretSource
from components.object_store import ObjectStore
from components.pipeline_definitions import PipelineDefinitions, PipelineDefinitionsArgs
from components.pipeline_service import (
    PipelineImages,
    PipelineService,
    PipelineServiceArgs,
    scraped,
)
from components.platform_namespace import PlatformNamespace, PlatformNamespaceArgs
from components.settings import Settings
from ml.contracts import (
    MLFLOW_PORT,
    OBJECT_STORE_SERVICE,
    PIPELINES_PORT,
    PROMETHEUS_PORT,
    PROMETHEUS_SERVICE,
    S3_PORT,
    TRACKING_SERVER_SERVICE,
)

PIPELINES: Final = "pipelines"
"""Instance of everything that the service consists of."""
_BUCKET: Final = "pipelines"


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What of the platform the pipeline service uses."""

    platform_namespace: pulumi.Output[str]
    namespace: pulumi.Output[str]
    """Name of the service's own namespace."""
    secrets: SecretSource
    object_store: ObjectStore
    page_front: GatewayPeer | None
    """Who alone may call the web page; None if nobody opens it."""


def pipeline_buckets(settings: Settings) -> dict[str, str]:
    """Return the bucket that the object store keeps for pipelines, by consumer."""
    return {PIPELINES: _BUCKET} if settings.pipeline_service.enabled else {}


def create_pipeline_namespace(settings: Settings, opts: pulumi.ResourceOptions) -> PlatformNamespace | None:
    """Declare the service's namespace; None if there is no service."""
    service = settings.pipeline_service
    if not service.enabled:
        return None
    args = PlatformNamespaceArgs(namespace=service.namespace, protect=settings.protect_data)
    return PlatformNamespace("pipeline-namespace", args, opts)


def measured(settings: Settings, namespace: PlatformNamespace | None) -> tuple[Elsewhere, ...]:
    """Return what Prometheus reads in the service's namespace."""
    service = settings.pipeline_service
    if namespace is None:
        return ()
    targets = scraped(PIPELINES, page=settings.access.pages)
    return (Elsewhere(namespace=namespace.namespace, namespace_name=service.namespace, targets=targets),)


def create_pipelines(
    settings: Settings, around: Surroundings, plain: pulumi.ResourceOptions, gated: pulumi.ResourceOptions
) -> PipelineService:
    """Declare the definitions and the service, the latter with the options `gated`."""
    service = settings.pipeline_service
    definitions = PipelineDefinitions(
        "pipeline-definitions", PipelineDefinitionsArgs(protect=settings.protect_data), plain
    )
    args = PipelineServiceArgs(
        namespace=around.namespace,
        namespace_name=service.namespace,
        platform_namespace=around.platform_namespace,
        images=_images(settings),
        secrets=around.secrets,
        kinds=definitions.kinds,
        store=ArtifactStore(
            access_key=PIPELINES,
            secret_key=around.object_store.consumer_secret_key(PIPELINES),
            fingerprint=around.object_store.consumer_fingerprint(PIPELINES),
            bucket=_BUCKET,
            peer=_peer(settings, OBJECT_STORE_SERVICE, OBJECT_STORE_SERVICE, S3_PORT),
        ),
        registry=_peer(settings, TRACKING_SERVER_SERVICE, TRACKING_SERVER_SERVICE, MLFLOW_PORT),
        prometheus=_peer(settings, PROMETHEUS_SERVICE, "monitoring", PROMETHEUS_PORT),
        page_front=around.page_front,
        cache=service.cache,
        replicas=service.replicas,
        parallel_runs=service.parallel_runs,
        storage_gib=service.storage_gib,
        storage_class=settings.storage_class,
        api_resources=service.api_resources,
        database_resources=service.database_resources,
        protect=settings.protect_data,
    )
    return PipelineService(PIPELINES, args, gated)


def pipeline_outputs(settings: Settings, service: PipelineService | None) -> dict[str, Any]:
    """Return what later commands need in order to find the service; nothing if there is none."""
    if service is None:
        return {}
    tracking = f"http://{TRACKING_SERVER_SERVICE}.{settings.namespace}:{MLFLOW_PORT}"
    return {
        "pipelines": {
            "namespace": settings.pipeline_service.namespace,
            "service": service.service,
            "port": PIPELINES_PORT,
            "url": service.url,
            "trackingUrl": tracking,
        }
    }


def _peer(settings: Settings, service: str, workload: str, port: int) -> ServicePeer:
    selector = selector_labels(workload, service)
    return ServicePeer(service=service, namespace=settings.namespace, selector=selector, port=port)


def _images(settings: Settings) -> PipelineImages:
    image = settings.image
    return PipelineImages(
        servers=ServerImages(
            api=image(_versions.PIPELINES_API),
            agent=image(_versions.PIPELINES_AGENT),
            scheduler=image(_versions.PIPELINES_SCHEDULER),
            driver=image(_versions.PIPELINES_DRIVER),
            launcher=image(_versions.PIPELINES_LAUNCHER),
        ),
        database=image(_versions.MYSQL),
        metadata=image(_versions.PIPELINES_METADATA),
        metadata_proxy=image(_versions.PIPELINES_METADATA_PROXY),
        page=image(_versions.PIPELINES_UI),
        workflow_controller=image(_versions.WORKFLOW_CONTROLLER),
        workflow_executor=image(_versions.WORKFLOW_EXECUTOR),
    )
