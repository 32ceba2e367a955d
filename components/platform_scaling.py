"""How the platform's parts follow their load: the settings, as autoscalers and as what Prometheus has to know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, cast

import pulumi

from components import _scaling
from components._network import GatewayPeer
from components._scaling import Measure, Scaler
from components._scraping import DistantTarget, Elsewhere
from components.autoscaler import Autoscaler, AutoscalerArgs, Engine
from components.model_server import ModelServer
from components.platform_gpus import are_sliced, measured_cards
from components.settings import Settings
from components.settings_scaling import PartScaling, RequestScaling
from ml.contracts import API_SERVICE, PROMETHEUS_PORT, PROMETHEUS_SERVICE, TRACKING_SERVER_SERVICE, slot_workload

_OPERATOR: Final = {"app": "keda-operator"}
_OPERATOR_METRICS_PORT: Final = 8080
_REQUEST_SERIES: Final = {
    "api": (API_SERVICE, "mlplatform_api_requests_total"),
    "tracking_server": (TRACKING_SERVER_SERVICE, "mlflow_http_request_total"),
}
"""Job and counter of the parts that are scaled by requests, by section of the settings."""


def scalers(settings: Settings) -> tuple[Scaler, ...]:
    """Return every autoscaler of the stack."""
    return tuple(scaler for scaler, _ in _all(settings))


def asking(settings: Settings) -> GatewayPeer | None:
    """Return the pods that ask Prometheus how many pods there should be: KEDA's."""
    scaling = settings.autoscaling
    return GatewayPeer(namespace=scaling.keda_namespace, selector=_OPERATOR) if scaling.asks_prometheus() else None


def measured_scaling(settings: Settings) -> tuple[Elsewhere, ...]:
    """Return what Prometheus reads of KEDA and, since slots may be scaled by their use, of the GPUs."""
    cards = measured_cards(settings)
    peer = asking(settings)
    if peer is None:
        return cards
    target = DistantTarget(
        job="keda",
        selector=peer.selector,
        port=_OPERATOR_METRICS_PORT,
        drop="(go|process|workqueue|rest_client|controller_runtime|certwatcher)_.*",
    )
    return (Elsewhere(namespace=peer.namespace, namespace_name=peer.namespace, targets=(target,)), *cards)


def create_autoscalers(
    settings: Settings,
    namespace: pulumi.Output[str],
    deployments: Mapping[str, pulumi.Output[str]],
    opts: pulumi.ResourceOptions,
) -> dict[str, Autoscaler]:
    """Declare the autoscalers of the given Deployments, by name."""
    url = f"http://{PROMETHEUS_SERVICE}.{settings.namespace}:{PROMETHEUS_PORT}"
    return {
        scaler.name: Autoscaler(
            f"{scaler.name}-autoscaler",
            AutoscalerArgs(
                namespace=namespace,
                deployment=deployments[scaler.name],
                scaler=scaler,
                engine=cast("Engine", settings.autoscaling.engine),
                metrics_url=url,
                calm_minutes=part.calm_minutes,
            ),
            opts,
        )
        for scaler, part in _all(settings)
    }


def slot_deployments(servers: Mapping[str, ModelServer]) -> dict[str, pulumi.Output[str]]:
    """Return the Deployments of all slots, by name."""
    return {
        slot_workload(model, slot): deployment
        for model, server in servers.items()
        for slot, deployment in server.deployments.items()
    }


def _all(settings: Settings) -> Iterator[tuple[Scaler, PartScaling]]:
    scaling = settings.autoscaling
    if (slots := scaling.model_server) is not None:
        for model in settings.models:
            for slot in model.slots:
                yield _scaler(slot_workload(model.name, slot), slots, _slot_measures(settings, model.name, slot)), slots
    for section, part in (("tracking_server", scaling.tracking_server), ("api", scaling.api)):
        if part is not None:
            yield _scaler(_REQUEST_SERIES[section][0], part, _request_measures(settings, section, part)), part


def _scaler(name: str, part: PartScaling, measures: list[Measure]) -> Scaler:
    return Scaler(
        name=name,
        minimum=part.minimum,
        maximum=part.maximum,
        cpu_percent=part.cpu_percent,
        measures=tuple(measures),
    )


def _slot_measures(settings: Settings, model: str, slot: str) -> list[Measure]:
    part, found = settings.autoscaling.model_server, list[Measure]()
    if part is None:
        return found
    if part.concurrency is not None:
        query = _scaling.in_flight(model, slot, _window(settings))
        found.append(Measure(name="concurrency", query=query, target=part.concurrency))
    if part.gpu_percent is not None:
        query = _scaling.gpu_use(settings.namespace, slot_workload(model, slot), sliced=are_sliced(settings))
        found.append(Measure(name="gpu", query=query, target=part.gpu_percent, metric_type="Value"))
    return found


def _request_measures(settings: Settings, section: str, part: RequestScaling) -> list[Measure]:
    if part.requests_per_second is None:
        return []
    job, series = _REQUEST_SERIES[section]
    query = _scaling.request_rate(f'{series}{{job="{job}"}}', job, _window(settings))
    return [Measure(name="requests", query=query, target=part.requests_per_second)]


def _window(settings: Settings) -> int:
    return _scaling.window_seconds(settings.monitoring.scrape_interval_seconds)
