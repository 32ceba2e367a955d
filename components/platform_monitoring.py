"""How the platform is measured: what Prometheus reads here and in other namespaces, who may ask it, who is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pulumi

from components import _alerting, _versions
from components._network import GatewayPeer
from components._scraping import GatewayProxy
from components.monitoring import Monitoring, MonitoringArgs
from components.object_store import ObjectStore
from components.platform_database import measured_servers
from components.platform_namespace import PlatformNamespace
from components.platform_pipelines import measured
from components.platform_prerequisites import alertmanager, metrics_reader
from components.platform_scaling import asking, measured_scaling, scalers
from components.settings import Settings
from ml.contracts import PROMETHEUS_SERVICE


@dataclass(frozen=True, kw_only=True)
class MeasuredParts:
    """What of the platform Prometheus reads."""

    namespace: pulumi.Output[str]
    gateway: GatewayPeer
    object_store: ObjectStore | None
    """None where the cloud's own store is used."""
    pipeline_namespace: PlatformNamespace | None
    """None where there is no pipeline service."""


def create_monitoring(settings: Settings, parts: MeasuredParts, opts: pulumi.ResourceOptions) -> Monitoring:
    """Declare Prometheus with all that it reads."""
    monitoring = settings.monitoring
    return Monitoring(
        PROMETHEUS_SERVICE,
        MonitoringArgs(
            namespace=parts.namespace,
            namespace_name=settings.namespace,
            image=settings.image(_versions.PROMETHEUS),
            gateway=parts.gateway,
            proxy=cast("GatewayProxy", settings.gateway.proxy),
            object_store_token=parts.object_store and parts.object_store.metrics_secret,
            scrape_interval_seconds=monitoring.scrape_interval_seconds,
            retention_days=monitoring.retention_days,
            storage_gib=monitoring.storage_gib,
            storage_class=settings.storage_class,
            resources=monitoring.resources,
            protect=settings.protect_data,
            teams=bool(settings.teams),
            elsewhere=(
                *measured(settings, parts.pipeline_namespace),
                *measured_scaling(settings),
                *measured_servers(settings, parts.namespace),
            ),
            alerting=_alerting_of(settings),
            database_servers=settings.metadata_db.servers.instances if settings.metadata_db.is_cluster else 0,
            scalers=scalers(settings),
            page_logins=settings.access.login is not None,
            readers=tuple(reader for reader in (asking(settings), metrics_reader(settings)) if reader is not None),
        ),
        opts,
    )


def _alerting_of(settings: Settings) -> _alerting.Alerting | None:
    """Return who is told of alerts: whom the stack names, else the Alertmanager that it installs itself."""
    home, own = settings.namespace, alertmanager(settings)
    told = [_alerting.named(address, home=home) for address in settings.monitoring.alertmanagers]
    if not told and own is not None:
        told = [_alerting.behind(own)]
    # `namespace` is what Prometheus's operator routes by: a route declared in the platform's namespace gets its alerts.
    labels = {"namespace": home, "cluster": settings.cluster_identifier, "stack": pulumi.get_stack()}
    return _alerting.Alerting(alertmanagers=tuple(told), labels=labels) if told else None
