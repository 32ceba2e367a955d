"""What a stack installs of other projects before the platform: their own charts, pinned, with the values that matter.

Each goes to a namespace of its own, which its chart fills; a plugin goes to that of its operator. What a chart declares
is not seen by the policies of a preview; those of the cluster judge the platform's namespaces only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._charts import CHARTS, ISTIO_BASE, ISTIO_GATEWAY, ISTIOD, Chart
from ml.contracts import GATEWAY_PORT, GATEWAY_TLS_PORT

_READY_SECONDS: Final = 900
_STATUS_PORT: Final = 15021
_MONITORS: Final = ("serviceMonitor", "podMonitor", "rule", "probe", "scrapeConfig")
_AFTER: Final = {"barmanCloud": ("certManager", "cloudNativePg")}
"""What a chart uses of others, which come before it."""
GRAFANA_PORT: Final = 3000


@dataclass(frozen=True, kw_only=True)
class GatewayInstallation:
    """What the mesh's gateway must be, so that the platform finds it."""

    service: str
    namespace: str
    selector: Mapping[str, str]
    node_port: int | None
    """Port of every node at which a load balancer of the stack's own finds it; None lets the cluster make one."""


@dataclass(frozen=True, kw_only=True)
class Grafana:
    """What Grafana is told."""

    password: pulumi.Output[str]
    """Of its administrator; its chart has one that everybody knows."""
    metrics_url: str
    """Of the platform's own Prometheus."""
    host: str | None
    """By which people reach it; None if nobody does from outside."""


@dataclass(frozen=True, kw_only=True)
class PrerequisitesArgs:
    """What is installed, and what the charts need to know."""

    wanted: Sequence[str]
    """Names as in the setting `prerequisites`."""
    gateway: GatewayInstallation
    grafana: Grafana
    domain: str
    owner: str
    """By which external-dns knows the names that it has made."""
    dns_provider: str | None
    nodes_bring_gpu_parts: bool
    """Whether driver, container toolkit and device plugin are in the image of the nodes, as in Bottlerocket's."""
    replicas: int
    """Of what serves requests or decides."""


class Prerequisites(PlatformComponent):
    """Releases of charts of other projects."""

    def __init__(self, name: str, args: PrerequisitesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        # The rest declares monitors, whose definitions come with it.
        stack = self._release(CHARTS["prometheusStack"], self._stack_values()) if self._has("prometheusStack") else None
        after = [] if stack is None else [stack]
        if self._has("istio"):
            self._create_mesh()
        made: dict[str, pulumi.Resource] = {}
        for wanted, values in self._values(monitored=stack is not None).items():
            if self._has(wanted):
                first = [made[name] for name in _AFTER.get(wanted, ()) if name in made]
                made[wanted] = self._release(CHARTS[wanted], values, [*after, *first])
        self.finish(installed=list(args.wanted))

    def _has(self, wanted: str) -> bool:
        return wanted in self._args.wanted

    def _create_mesh(self) -> None:
        gateway, replicas = self._args.gateway, self._args.replicas
        scale = {"autoscaleMin": replicas, "autoscaleMax": max(replicas, 5)}
        base = self._release(ISTIO_BASE, {"defaultRevision": "default"})
        control = self._release(ISTIOD, scale, [base])
        chart = replace(ISTIO_GATEWAY, release=gateway.service, namespace=gateway.namespace)
        # A gateway is made of what the control plane injects.
        self._release(chart, self._gateway_values(), [control], name="gateway")

    def _gateway_values(self) -> dict[str, Any]:
        gateway, replicas = self._args.gateway, self._args.replicas
        ports = {"status-port": _STATUS_PORT, "http2": GATEWAY_PORT, "https": GATEWAY_TLS_PORT}
        service: dict[str, Any] = {
            "type": "LoadBalancer" if gateway.node_port is None else "NodePort",
            "ports": [
                {"name": port, "port": number, "targetPort": number, "protocol": "TCP"}
                for port, number in ports.items()
            ],
        }
        if gateway.node_port is not None:
            service["ports"][1]["nodePort"] = gateway.node_port
        return {
            "name": gateway.service,
            "labels": dict(gateway.selector),
            "service": service,
            "autoscaling": {"minReplicas": replicas, "maxReplicas": max(replicas, 5)},
            "podDisruptionBudget": {"maxUnavailable": 1},
        }

    def _stack_values(self) -> dict[str, Any]:
        grafana = self._args.grafana
        own = {
            "name": "Platform",
            "uid": "platform",
            "type": "prometheus",
            "access": "proxy",
            "url": grafana.metrics_url,
        }
        settings = {"server": {"root_url": f"https://{grafana.host}"}} if grafana.host else {}
        return {
            # Otherwise it sees only what carries the label of its own release.
            "prometheus": {
                "prometheusSpec": {f"{kind}SelectorNilUsesHelmValues": False for kind in _MONITORS},
            },
            "grafana": {
                "adminPassword": grafana.password,
                "service": {"port": GRAFANA_PORT},
                "grafana.ini": settings,
                "additionalDataSources": [own],
                "sidecar": {
                    "dashboards": {
                        "searchNamespace": "ALL",
                        "folderAnnotation": "grafana_folder",
                        "provider": {"foldersFromFilesStructure": True},
                    },
                },
            },
        }

    def _values(self, *, monitored: bool) -> dict[str, dict[str, Any]]:
        replicas, image_brings = self._args.replicas, self._args.nodes_bring_gpu_parts
        monitor = {"enabled": monitored}
        return {
            "certManager": {
                # Certificates are data: they outlive the release, and with them their definition.
                "crds": {"enabled": True, "keep": True},
                "replicaCount": replicas,
                "webhook": {"replicaCount": replicas},
                "prometheus": {"servicemonitor": monitor},
            },
            "keda": {
                "operator": {"replicaCount": replicas},
                "metricsServer": {"replicaCount": replicas},
                # It would read the Secrets in the environment of what it scales, in every namespace, and needs none.
                "permissions": {part: {"restrict": {"secret": True}} for part in ("operator", "metricServer")},
                "prometheus": {
                    part: {"enabled": True, "serviceMonitor": monitor} for part in ("operator", "metricServer")
                },
            },
            "cloudNativePg": {"replicaCount": replicas, "monitoring": {"podMonitorEnabled": monitored}},
            # One at a time works; a second one would wait for the first to go.
            "barmanCloud": {"replicaCount": 1, "crds": {"create": True}},
            "gpuOperator": {
                "driver": {"enabled": not image_brings},
                "toolkit": {"enabled": not image_brings},
                "devicePlugin": {"enabled": not image_brings},
                # With its own labels of the pod that uses a GPU, not those of the exporter's pod.
                "dcgmExporter": {"serviceMonitor": {**monitor, "honorLabels": True}},
            },
            "externalDns": {
                "provider": {"name": self._args.dns_provider},
                "sources": ["service", "istio-gateway"],
                "domainFilters": [self._args.domain],
                # It never takes away a name that somebody else has made.
                "policy": "upsert-only",
                "registry": "txt",
                "txtOwnerId": self._args.owner,
                "serviceMonitor": monitor,
            },
        }

    def _release(
        self,
        chart: Chart,
        values: Mapping[str, Any],
        after: Sequence[pulumi.Resource] = (),
        *,
        name: str | None = None,
    ) -> k8s.helm.v3.Release:
        return k8s.helm.v3.Release(
            f"{self._name}-{name or chart.release}",
            name=chart.release,
            chart=chart.name,
            version=chart.version,
            repository_opts=k8s.helm.v3.RepositoryOptsArgs(repo=chart.repository),
            namespace=chart.namespace,
            create_namespace=True,
            values=dict(values),
            # Half of one is taken away again, so that the next try starts from nothing.
            atomic=True,
            timeout=_READY_SECONDS,
            opts=self.child(depends_on=after),
        )
