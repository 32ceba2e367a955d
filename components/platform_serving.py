"""How the platform serves its models: each has a server for every slot, and a split of its traffic among them."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components import _versions
from components._network import GatewayPeer
from components.model_server import ModelServer, ModelServerArgs
from components.platform_access import gateway_port
from components.settings import ModelSettings, Settings
from components.traffic_split import TrafficSplit, TrafficSplitArgs
from ml.contracts import TRACKING_SERVER_SERVICE, kube_name


@dataclass(frozen=True, kw_only=True)
class ServingSurroundings:
    """What of the platform served models use."""

    namespace: pulumi.Output[str]
    registry_url: str
    gateway: GatewayPeer
    gateway_name: pulumi.Output[str]
    host: str
    """To which predictions are sent."""


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model's server and the split of its traffic."""

    server: ModelServer
    split: TrafficSplit


def create_models(
    settings: Settings, around: ServingSurroundings, opts: pulumi.ResourceOptions
) -> dict[str, ServedModel]:
    """Declare everything that serves a model, by the name of the model."""
    return {model.name: _create_model(settings, model, around, opts) for model in settings.models}


def _create_model(
    settings: Settings, model: ModelSettings, around: ServingSurroundings, opts: pulumi.ResourceOptions
) -> ServedModel:
    server = _create_server(settings, model, around, opts)
    return ServedModel(server=server, split=_create_split(settings, model, server, around, opts))


def _create_server(
    settings: Settings, model: ModelSettings, around: ServingSurroundings, opts: pulumi.ResourceOptions
) -> ModelServer:
    serving = settings.model_server
    return ModelServer(
        kube_name(model.name),
        ModelServerArgs(
            namespace=around.namespace,
            model=model.name,
            slots=model.slots,
            image=settings.serving_image,
            sync_image=settings.image(_versions.ML),
            registry_url=around.registry_url,
            registry_label=TRACKING_SERVER_SERVICE,
            gateway=around.gateway,
            replicas=settings.replicas("model_server"),
            sync_interval_seconds=serving.sync_interval_seconds,
            storage_mib=serving.storage_mib,
            server_resources=settings.serving_resources,
            idle_budget_minutes=serving.idle_budget_minutes,
            accelerator=serving.accelerator if settings.serving_resources.gpus else None,
            claims=settings.gpu.by_claims,
            sync_resources=serving.sync_resources,
        ),
        opts,
    )


def _create_split(
    settings: Settings,
    model: ModelSettings,
    server: ModelServer,
    around: ServingSurroundings,
    opts: pulumi.ResourceOptions,
) -> TrafficSplit:
    return TrafficSplit(
        f"{kube_name(model.name)}-traffic",
        TrafficSplitArgs(
            namespace=around.namespace,
            model=model.name,
            slots=model.slots,
            service=server.service,
            host=around.host,
            gateway_name=around.gateway_name,
            gateway_port=gateway_port(settings),
            gateway=around.gateway,
        ),
        opts,
    )
