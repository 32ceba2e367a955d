"""Measures the platform: one Prometheus with its rules, and the names by which it finds what it reads.

Dashboards are ConfigMaps that a Grafana picks up by their label; none is brought along.

Alerts are evaluated here and sent to the Alertmanagers that the stack names, for no Alertmanager is brought along:
without one they are seen by those alone who ask for them. Samples are kept for a set time; decisions never depend on
old ones, for they are recorded with all their inputs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components import _alerts, _scaling, _scraping
from components._alerting import Alerting
from components._base import PlatformComponent
from components._labels import object_labels, selector_labels
from components._network import (
    GatewayPeer,
    allow_from_pods,
    allow_to_destinations,
    allow_to_pods,
    network_policy,
    offer_service,
)
from components._stateful import claim, stateful_set
from components._workload import (
    CONFIG_ANNOTATION,
    Resources,
    container,
    data_priority,
    http_probe,
    pod_template,
    secret_volume,
)
from ml.contracts import (
    GATEWAY_ADMIN_PORT,
    PAGE_LOGIN,
    PROMETHEUS_PORT,
    TEAM_REGISTRY,
)

_NAME = "monitoring"
_CONFIG_DIR = "/etc/prometheus"
_RULES_DIR = "/etc/prometheus-rules"
_TOKENS_DIR = "/etc/prometheus-tokens"
_DATA_DIR = "/prometheus"
_DISK_SHARE = 0.8
_OBJECT_STORE = "object-store"
"""Job and workload of the target that wants a token."""
_SEVERAL = ("model-server", PAGE_LOGIN, TEAM_REGISTRY)
"""Workloads of which there are several instances."""
_DASHBOARDS = Path(__file__).parent / "dashboards"
_DASHBOARD_LABEL = {"grafana_dashboard": "1"}
_SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
"""What is measured may come later, or be away."""


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """What Prometheus needs to know."""

    namespace: pulumi.Input[str]
    namespace_name: str
    """The namespace's name as a plain text: the configuration contains it."""
    image: str
    gateway: GatewayPeer
    proxy: _scraping.GatewayProxy
    """What the gateway's pods run."""
    object_store_token: pulumi.Input[str] | None
    """Name of the Secret whose key token the object store wants to see; None where the cloud's own store is used, which
    Prometheus does not read."""
    scrape_interval_seconds: int
    retention_days: int
    storage_gib: int
    storage_class: str | None
    """None takes the cluster's default class."""
    resources: Resources
    protect: bool
    """Whether the samples outlive a deletion of the component, and Pulumi refuses to delete them."""
    teams: bool = False
    """Whether there are teams, each with its way to the registry."""
    elsewhere: tuple[_scraping.Elsewhere, ...] = ()
    """What is measured in other namespaces, which themselves let Prometheus in."""
    scalers: tuple[_scaling.Scaler, ...] = ()
    """Whose questions about the load are answered here."""
    readers: tuple[GatewayPeer, ...] = ()
    """Pods of other namespaces that ask it, such as Grafana's."""
    page_logins: bool = False
    """Whether there is something in front of pages that asks who somebody is."""
    alerting: Alerting | None = None
    """Who is told of alerts; None if nobody is."""
    database_servers: int = 0
    """How many servers of the database tell of themselves and of their backups."""


class Monitoring(PlatformComponent):
    """A Prometheus server."""

    service: pulumi.Output[str]
    url: str
    """Address inside the namespace."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        present = {
            _OBJECT_STORE: args.object_store_token is not None,
            PAGE_LOGIN: args.page_logins,
            TEAM_REGISTRY: args.teams,
        }
        self._absent = frozenset(workload for workload, is_there in present.items() if not is_there)
        self._labels = object_labels(_NAME, name, args.image)
        self._selector = selector_labels(_NAME, name)
        self.url = f"http://{name}:{PROMETHEUS_PORT}"
        self.service = self._create_service()
        self._create_finders()
        self._create_dashboards()
        self._create_server()
        self._create_policies()
        self.finish(service=self.service, url=self.url)

    def _create_service(self) -> pulumi.Output[str]:
        service = k8s.core.v1.Service(
            self._name,
            metadata=self._metadata(self._name),
            spec=k8s.core.v1.ServiceSpecArgs(
                selector=self._selector,
                ports=[
                    k8s.core.v1.ServicePortArgs(
                        name="http-prometheus", port=PROMETHEUS_PORT, target_port="http-prometheus"
                    )
                ],
            ),
            opts=self.child(),
        )
        return service.metadata.name

    def _create_finders(self) -> None:
        """One headless Service per kind of target; its addresses are the pods'."""
        gateway, platform = self._args.gateway, self._args.namespace_name
        for workload, port in {target.workload: target.port for target in _scraping.TARGETS}.items():
            if workload in self._absent:
                continue
            found_by = _scraping.finder(self._name, workload)
            self._create_finder(workload, found_by, self._args.namespace, _selector_of(workload), port)
        found_by = _scraping.distant_finder(platform, _scraping.GATEWAY_TARGET)
        self._create_finder(_scraping.GATEWAY_TARGET, found_by, gateway.namespace, gateway.selector, GATEWAY_ADMIN_PORT)
        for elsewhere in self._args.elsewhere:
            for target in elsewhere.targets:
                found_by = _scraping.distant_finder(platform, target.job)
                self._create_finder(target.job, found_by, elsewhere.namespace, target.selector, target.port)

    def _create_finder(
        self, target: str, name: str, namespace: pulumi.Input[str], selector: Mapping[str, str], port: int
    ) -> None:
        k8s.core.v1.Service(
            _scraping.finder(self._name, target),
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=name, namespace=namespace, labels=dict(self._labels), annotations=_SKIP_AWAIT
            ),
            spec=k8s.core.v1.ServiceSpecArgs(
                cluster_ip="None",
                # A pod that is not ready is measured all the more.
                publish_not_ready_addresses=True,
                selector=dict(selector),
                ports=[k8s.core.v1.ServicePortArgs(name="http-metrics", port=port)],
            ),
            opts=self.child(),
        )

    def _create_dashboards(self) -> None:
        for file in sorted(_DASHBOARDS.glob("*.json")):
            k8s.core.v1.ConfigMap(
                f"{self._name}-dashboard-{file.stem}",
                metadata=k8s.meta.v1.ObjectMetaArgs(
                    namespace=self._args.namespace, labels={**self._labels, **_DASHBOARD_LABEL}
                ),
                data={file.name: file.read_text(encoding="utf-8")},
                opts=self.child(),
            )

    def _create_config(self, role: str, file: str, content: object) -> pulumi.Output[str]:
        config = k8s.core.v1.ConfigMap(
            f"{self._name}-{role}",
            metadata=self._metadata(),
            data={file: yaml.safe_dump(content, sort_keys=False, width=1000)},
            opts=self.child(),
        )
        return config.metadata.name

    def _create_server(self) -> None:
        args = self._args
        token = args.object_store_token
        scraping = _scraping.configuration(
            self._name,
            namespace=args.namespace_name,
            gateway_namespace=args.gateway.namespace,
            proxy=args.proxy,
            interval_seconds=args.scrape_interval_seconds,
            rules_folder=_RULES_DIR,
            tokens_folder=_TOKENS_DIR,
            absent=self._absent,
            elsewhere=args.elsewhere,
            alerting=args.alerting,
        )
        rules = _alerts.rule_groups(
            args.proxy, args.scrape_interval_seconds, args.scalers, database_servers=args.database_servers
        )
        volumes = {
            "config": self._create_config("config", "prometheus.yaml", scraping),
            "rules": self._create_config("rules", "platform.yaml", rules),
        }
        template = pod_template(
            [self._server_container()],
            labels=self._labels,
            priority=data_priority(self._args.namespace),
            # Prometheus reads its files when it starts.
            annotations={CONFIG_ANNOTATION: _fingerprint(scraping, rules)},
            volumes=[
                *(
                    k8s.core.v1.VolumeArgs(name=name, config_map=k8s.core.v1.ConfigMapVolumeSourceArgs(name=config))
                    for name, config in volumes.items()
                ),
                *([secret_volume(_OBJECT_STORE, token)] if token is not None else []),
            ],
            grace_seconds=60,
        )
        stateful_set(
            self,
            self._name,
            metadata=self._metadata(self._name),
            service=self._name,
            selector=self._selector,
            template=template,
            claims=[claim("data", args.storage_gib, args.storage_class, self._labels)],
            protect=args.protect,
        )

    def _server_container(self) -> k8s.core.v1.ContainerArgs:
        args = self._args
        kept_mib = int(args.storage_gib * 1024 * _DISK_SHARE)
        return container(
            "server",
            args.image,
            args.resources,
            command=["prometheus"],
            args=[
                f"--config.file={_CONFIG_DIR}/prometheus.yaml",
                f"--storage.tsdb.path={_DATA_DIR}",
                f"--storage.tsdb.retention.time={args.retention_days}d",
                # Whichever comes first: a full volume would stop all measuring.
                f"--storage.tsdb.retention.size={kept_mib}MB",
                f"--web.listen-address=:{PROMETHEUS_PORT}",
            ],
            ports={"http-prometheus": PROMETHEUS_PORT},
            mounts={_DATA_DIR: "data"},
            read_only_mounts={
                _CONFIG_DIR: "config",
                _RULES_DIR: "rules",
                **({f"{_TOKENS_DIR}/{_OBJECT_STORE}": _OBJECT_STORE} if args.object_store_token is not None else {}),
            },
            # It answers once it has read its log of recent samples again.
            startup=http_probe("/-/ready", "http-prometheus", period_seconds=2, failures=150),
            readiness=http_probe("/-/ready", "http-prometheus", period_seconds=5),
            liveness=http_probe("/-/healthy", "http-prometheus", period_seconds=10, failures=6),
        )

    def _create_policies(self) -> None:
        args = self._args
        offer_service(
            self,
            self._name,
            namespace=args.namespace,
            labels=self._labels,
            selector=self._selector,
            ports=[PROMETHEUS_PORT],
            gateways=args.readers,
            gateway_ports=[PROMETHEUS_PORT],
        )
        everything: dict[str, str] = {}
        ports = [target.port for target in _scraping.TARGETS if target.workload not in self._absent]
        policies = {
            "scrapes": allow_to_pods(self._selector, everything, ports),
            "scraped": allow_from_pods(everything, self._selector, ports),
            "scrapes-gateway": allow_to_pods(
                self._selector, args.gateway.selector, [GATEWAY_ADMIN_PORT], namespace=args.gateway.namespace
            ),
        }
        for elsewhere in args.elsewhere:
            theirs = sorted({target.port for target in elsewhere.targets})
            policies[f"scrapes-{elsewhere.namespace_name}"] = allow_to_pods(
                self._selector, everything, theirs, namespace=elsewhere.namespace_name
            )
        if args.alerting is not None:
            told = [alertmanager.destination for alertmanager in args.alerting.alertmanagers]
            policies["alerts"] = allow_to_destinations(self._selector, told)
        for role, spec in policies.items():
            network_policy(self, f"{self._name}-{role}", spec, namespace=self._args.namespace, labels=self._labels)

    def _metadata(self, name: str | None = None) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(name=name, namespace=self._args.namespace, labels=dict(self._labels))


def _fingerprint(*contents: object) -> str:
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()[:12]


def _selector_of(workload: str) -> Mapping[str, str]:
    # Of the rest there is one instance, and Jobs that share its name.
    return {"app.kubernetes.io/name": workload} if workload in _SEVERAL else selector_labels(workload, workload)
