"""What a stack tells the commands that come after it: every address and name, and names of Secrets, never secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from components import _versions
from components._cloud import CloudParts
from components.platform_database import database_outputs
from components.platform_pipelines import pipeline_outputs
from components.platform_teams import team_outputs
from components.settings import ModelSettings, Settings
from ml.contracts import API_PORT, MLFLOW_PORT, PROMETHEUS_PORT, S3_CONSOLE_PORT, S3_PORT, slot_alias

if TYPE_CHECKING:
    from components.platform import MlPlatform


def stack_outputs(
    platform: MlPlatform,
    settings: Settings,
    hosts: Mapping[str, str],
    buckets: Mapping[str, str],
    cloud: CloudParts | None,
) -> dict[str, Any]:
    """Return the outputs of a stack.

    Args:
        platform: with all of its components made.
        settings: the stack's.
        hosts: by role.
        buckets: of the object store, by consumer.
        cloud: what the cloud runs in place of pods.
    """
    gateway = settings.gateway
    return {
        "namespace": platform.namespace.namespace,
        "domain": settings.domain,
        "hosts": hosts,
        **_login_outputs(settings),
        "gateway": {
            "service": gateway.service,
            "namespace": gateway.namespace,
            "address": settings.gateway_address or hosts["ml"],
            **({"tls": True} if settings.access.encrypted else {}),
        },
        "models": {model.name: _model_outputs(platform, model) for model in settings.models},
        "metadataDb": database_outputs(platform.metadata_db),
        "objectStore": _store_outputs(platform, buckets, cloud),
        "trackingServer": {
            "service": platform.tracking_server.service,
            "port": MLFLOW_PORT,
            "url": platform.tracking_server.url,
        },
        "controller": {"deployment": platform.controller.deployment},
        "api": {
            "service": platform.api.service,
            "port": API_PORT,
            "deployment": platform.api.deployment,
            "tokenSecret": platform.api.token_secret,
        },
        "prometheus": {
            "service": platform.monitoring.service,
            "port": PROMETHEUS_PORT,
            "url": platform.monitoring.url,
        },
        **pipeline_outputs(settings, platform.pipelines),
        **team_outputs(settings, platform.teams),
        "prerequisites": settings.prerequisites.states,
        "images": _image_outputs(platform, settings),
        "training": {
            "image": settings.image(_versions.TRAINING),
            "serviceAccount": platform.training.service_account,
        },
    }


def _login_outputs(settings: Settings) -> dict[str, Any]:
    """Tell programs whose tokens open pages; nothing where no page has a login."""
    login = settings.access.login
    return {"login": {"issuer": login.issuer, "audience": login.audience or login.client_id}} if login else {}


def _store_outputs(platform: MlPlatform, buckets: Mapping[str, str], cloud: CloudParts | None) -> dict[str, Any]:
    store = platform.object_store
    if store is None:
        bucket = cast("CloudParts", cloud).bucket
        consumers = {consumer: {"bucket": bucket.name} for consumer in buckets}
        return {"kind": "s3", "region": bucket.region, "consumers": consumers}
    return {
        "service": store.service,
        "port": S3_PORT,
        "consolePort": S3_CONSOLE_PORT,
        "adminSecret": store.admin_secret,
        "consumers": {
            consumer: {"secret": store.consumer_secrets[consumer], "bucket": bucket}
            for consumer, bucket in buckets.items()
        },
    }


def _image_outputs(platform: MlPlatform, settings: Settings) -> dict[str, str]:
    unused = {_versions.MODEL_SERVER_GPU, *(() if platform.pipelines else _versions.PIPELINE_IMAGES)}
    if not settings.metadata_db.is_cluster:
        unused.add(_versions.POSTGRES_CLUSTER)
    if not platform.logins:
        unused.add(_versions.PAGE_LOGIN)
    images = {name: settings.image(name) for name in _versions.IMAGES if name not in unused}
    return {**images, _versions.MODEL_SERVER: settings.serving_image}


def _model_outputs(platform: MlPlatform, model: ModelSettings) -> dict[str, Any]:
    served = platform.models[model.name]
    return {
        "service": served.server.service,
        "slots": {
            slot: {"deployment": deployment, "alias": slot_alias(slot)}
            for slot, deployment in served.server.deployments.items()
        },
        "root": served.split.root,
        "split": served.split.split,
    }
