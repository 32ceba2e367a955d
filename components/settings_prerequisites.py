"""What of other projects a stack installs, finds or does without; the section `prerequisites` of its settings."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from components._rules import choice, text
from components._schema import schema, setting
from ml.contracts.prerequisites import ABSENT, INSTALL, PREREQUISITES, PRESENT

_state = choice((INSTALL, PRESENT, ABSENT))
_provider = text(r"[a-z][a-z0-9-]*", "a provider's name as external-dns writes it, such as aws or cloudflare")


@schema
class PrerequisitesSettings:
    """`install` takes the chart of `_charts.py`; `present` is verified before anything is declared."""

    istio: str = setting(choice((INSTALL, PRESENT)), default=PREREQUISITES["istio"].default)
    """Never absent: nothing is routed without it."""
    prometheus_stack: str = setting(_state, default=ABSENT)
    """Operator, node metrics, Grafana and Alertmanager. The platform's own Prometheus, by which it decides, is another
    one."""
    cert_manager: str = setting(_state, default=ABSENT)
    keda: str = setting(_state, default=ABSENT)
    cloud_native_pg: str = setting(_state, default=ABSENT)
    barman_cloud: str = setting(_state, default=ABSENT)
    """CloudNativePG's plugin for backups, beside the operator; cert-manager lets them trust each other."""
    gpu_operator: str = setting(_state, default=ABSENT)
    dra_driver: str = setting(choice((PRESENT, ABSENT)), default=ABSENT)
    """NVIDIA's driver by which pods claim cards; never installed here, for it depends on what the nodes are."""
    external_dns: str = setting(_state, default=ABSENT)
    external_dns_provider: str | None = setting(_provider, default=None)
    """Where names are kept. Its pods get no key here: they must be known to the provider by what they are."""

    def conflicts(self, faulty: AbstractSet[str]) -> Iterator[tuple[str, str]]:
        """Refuse settings that are each allowed but not together."""
        if faulty.isdisjoint({"external_dns", "external_dns_provider"}):
            if self.external_dns == INSTALL and self.external_dns_provider is None:
                yield "external_dns_provider", "a provider's name, for `externalDns` is install"
            if self.external_dns != INSTALL and self.external_dns_provider is not None:
                yield "external_dns_provider", "absent, unless `externalDns` is install"
        if faulty.isdisjoint({"barman_cloud", "cloud_native_pg", "cert_manager"}) and self.barman_cloud == INSTALL:
            for needed in ("cloud_native_pg", "cert_manager"):
                if getattr(self, needed) == ABSENT:
                    yield needed, "install or present, for `barmanCloud` is install"

    @property
    def states(self) -> dict[str, str]:
        """Return what the stack does about each, by its name."""
        return {
            "istio": self.istio,
            "prometheusStack": self.prometheus_stack,
            "certManager": self.cert_manager,
            "keda": self.keda,
            "cloudNativePg": self.cloud_native_pg,
            "barmanCloud": self.barman_cloud,
            "gpuOperator": self.gpu_operator,
            "draDriver": self.dra_driver,
            "externalDns": self.external_dns,
        }

    @property
    def installed(self) -> tuple[str, ...]:
        """Return what the stack installs."""
        return tuple(name for name, state in self.states.items() if state == INSTALL)

    @property
    def expected(self) -> tuple[str, ...]:
        """Return what the cluster must have."""
        return tuple(name for name, state in self.states.items() if state == PRESENT)


def conflicts_outside(
    settings: PrerequisitesSettings,
    *,
    gateway_tls: bool,
    balancer: bool,
    keda_scales: bool,
    gpu_operator_told: bool,
    cards_claimed: bool,
    database_cluster: bool,
    mirrored: bool,
    envoy_gateway: bool,
) -> Iterator[tuple[str, str]]:
    """Find what contradicts the rest of a stack's settings.

    Args:
        settings: sound by themselves.
        gateway_tls: whether the gateway ends TLS.
        balancer: whether the stack itself keeps the names of its hosts.
        keda_scales: whether anything is scaled by KEDA.
        gpu_operator_told: whether the stack tells the GPU operator what to do.
        cards_claimed: whether pods claim GPUs as devices.
        database_cluster: whether CloudNativePG runs the database.
        mirrored: whether charts and images lie in one place, which only some charts can be told.
        envoy_gateway: whether the gateway runs Envoy as its makers build it.
    """
    if gateway_tls and settings.cert_manager == ABSENT:
        yield "prerequisites", "certManager install or present, for `access.tls` is gateway"
    if keda_scales and settings.keda == ABSENT:
        yield "prerequisites", "keda install or present, for `autoscaling` has parts and its engine is keda"
    if gpu_operator_told and settings.gpu_operator == ABSENT:
        yield "prerequisites", "gpuOperator install or present, for `gpu.operator` is true"
    if cards_claimed and settings.dra_driver == ABSENT:
        yield "prerequisites", "draDriver present, for `gpu.allocation` is claims"
    if not cards_claimed and settings.dra_driver == PRESENT:
        yield "prerequisites", "draDriver absent, unless `gpu.allocation` is claims"
    if cards_claimed and settings.gpu_operator == INSTALL:
        allowed = "gpuOperator present or absent where `gpu.allocation` is claims: its chart brings the device plugin"
        yield "prerequisites", allowed
    if database_cluster:
        for name, state in (("cloudNativePg", settings.cloud_native_pg), ("barmanCloud", settings.barman_cloud)):
            if state == ABSENT:
                yield "prerequisites", f"{name} install or present, for `metadataDb.kind` is cloudNativePg"
    if mirrored and settings.installed:
        yield "prerequisites", "present or absent where `imageMirror` is set: not every chart can be told of one"
    if envoy_gateway and settings.istio == INSTALL:
        yield "gateway", "proxy istio where `prerequisites.istio` is install: its chart brings Istio's own"
    if balancer and settings.external_dns == INSTALL:
        yield "prerequisites", "externalDns absent or present, for `aws.access` keeps the names of the hosts itself"
