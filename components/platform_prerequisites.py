"""How a stack's settings become what is installed before the platform; nothing if everything is there or left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pulumi
import pulumi_kubernetes as k8s

from components._charts import CHARTS
from components._network import GatewayPeer, ServicePeer
from components._secrets import SecretSource
from components.prerequisites import GRAFANA_PORT, GatewayInstallation, Grafana, Prerequisites, PrerequisitesArgs
from components.settings import Settings
from ml.contracts import PROMETHEUS_PORT, PROMETHEUS_SERVICE
from ml.contracts.prerequisites import INSTALL

GRAFANA_PAGE: Final = "grafana"
"""First word of its host."""
_STACK: Final = CHARTS["prometheusStack"]
_ALERTMANAGER_PORT: Final = 9093


def grafana_page(settings: Settings) -> ServicePeer | None:
    """Return Grafana's Service; None where the stack does not install it."""
    if settings.prerequisites.prometheus_stack != INSTALL:
        return None
    selector = {"app.kubernetes.io/name": "grafana", "app.kubernetes.io/instance": _STACK.release}
    return ServicePeer(
        service=f"{_STACK.release}-grafana", namespace=_STACK.namespace, selector=selector, port=GRAFANA_PORT
    )


def metrics_reader(settings: Settings) -> GatewayPeer | None:
    """Return the pods outside the namespace that ask the platform's Prometheus; None if there are none."""
    page = grafana_page(settings)
    return page and GatewayPeer(namespace=page.namespace, selector=page.selector)


def alertmanager(settings: Settings) -> ServicePeer | None:
    """Return the Service of the Alertmanager that the Prometheus stack's chart brings; None where it is not installed.

    The chart has it switched on by itself, and its values here leave that alone. It keeps what it is told and shows it,
    silenced or not, and tells people once somebody has given it a receiver, which the chart leaves out.
    """
    if settings.prerequisites.prometheus_stack != INSTALL:
        return None
    name = f"{_STACK.release}-alertmanager"
    # The operator's labels of the pods that it makes.
    selector = {"app.kubernetes.io/name": "alertmanager", "app.kubernetes.io/instance": name}
    return ServicePeer(service=name, namespace=_STACK.namespace, selector=selector, port=_ALERTMANAGER_PORT)


def create_prerequisites(
    settings: Settings, provider: k8s.Provider, after: Sequence[pulumi.Resource] = ()
) -> list[pulumi.Resource]:
    """Declare what the stack installs; the platform comes after it, and leaves before it does."""
    wanted = settings.prerequisites.installed
    if not wanted:
        return []
    aws, gateway = settings.aws, settings.gateway
    secrets = SecretSource(pulumi.Output.secret(settings.master_secret.reveal()))
    args = PrerequisitesArgs(
        wanted=wanted,
        gateway=GatewayInstallation(
            service=gateway.service,
            namespace=gateway.namespace,
            selector=gateway.selector,
            node_port=aws.access.node_port if aws is not None and aws.access is not None else None,
        ),
        grafana=Grafana(
            password=secrets.password("grafana/administrator"),
            metrics_url=f"http://{PROMETHEUS_SERVICE}.{settings.namespace}.svc.cluster.local:{PROMETHEUS_PORT}",
            host=f"{GRAFANA_PAGE}.{settings.domain}" if settings.access.pages else None,
        ),
        domain=settings.domain,
        owner=settings.cluster_identifier,
        dns_provider=settings.prerequisites.external_dns_provider,
        # Every node of a stack on AWS runs Bottlerocket.
        nodes_bring_gpu_parts=aws is not None,
        replicas=1 if aws is not None and not aws.highly_available else 2,
    )
    opts = pulumi.ResourceOptions(providers=[provider], depends_on=list(after))
    return [Prerequisites("prerequisites", args, opts)]
