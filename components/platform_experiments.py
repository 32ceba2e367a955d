"""How the platform experiments: people ask the API, the controller decides, and both read and write the same events."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components import _versions
from components._network import GatewayPeer
from components._secrets import SecretSource
from components.ab_test_definition import AbTestDefinition
from components.api import Api, ApiArgs, OidcIssuer, RequestRates
from components.event_store import EventStore
from components.experiment_controller import ExperimentController, ExperimentControllerArgs
from components.settings import Settings
from ml.contracts import API_SERVICE, EXPERIMENT_CONTROLLER, PROMETHEUS_SERVICE, TRACKING_SERVER_SERVICE


@dataclass(frozen=True, kw_only=True)
class ExperimentSurroundings:
    """What of the platform experiments use."""

    namespace: pulumi.Output[str]
    secrets: SecretSource
    event_store: EventStore
    definition: AbTestDefinition
    gateway: GatewayPeer
    metrics_url: str
    registry_url: str
    api_host: str


def create_api(settings: Settings, around: ExperimentSurroundings, opts: pulumi.ResourceOptions) -> Api:
    """Declare what people and applications talk to."""
    api, oidc = settings.api, settings.api.oidc
    return Api(
        API_SERVICE,
        ApiArgs(
            namespace=around.namespace,
            image=settings.image(_versions.ML),
            secrets=around.secrets,
            database=around.event_store.access,
            test_kind=around.definition.kind,
            public_host=around.api_host,
            gateway=around.gateway,
            replicas=settings.replicas("api"),
            metrics_url=around.metrics_url,
            metrics_label=PROMETHEUS_SERVICE,
            rates=RequestRates(
                reads=api.reads_per_second,
                writes=api.writes_per_second,
                outcomes=api.outcomes_per_second,
            ),
            oidc=oidc
            and OidcIssuer(
                issuer=oidc.issuer, audience=oidc.audience, keys_url=oidc.keys_url, scope_claim=oidc.scope_claim
            ),
            resources=api.resources,
        ),
        opts,
    )


def create_controller(
    settings: Settings, around: ExperimentSurroundings, opts: pulumi.ResourceOptions
) -> ExperimentController:
    """Declare what runs experiments to their end."""
    controller = settings.controller
    return ExperimentController(
        EXPERIMENT_CONTROLLER,
        ExperimentControllerArgs(
            namespace=around.namespace,
            image=settings.image(_versions.ML),
            replicas=controller.replicas,
            database=around.event_store.access,
            test_kind=around.definition.kind,
            registry_url=around.registry_url,
            registry_label=TRACKING_SERVER_SERVICE,
            metrics_url=around.metrics_url,
            metrics_label=PROMETHEUS_SERVICE,
            gateway=around.gateway,
            reads_gateway=settings.gateway.proxy == "envoy",
            split_timeout_seconds=controller.split_timeout_seconds,
            resources=controller.resources,
        ),
        opts,
    )
