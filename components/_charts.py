"""The one place that says which charts of other projects a stack installs, and in which version.

State of 2026-11-26. Versions were read in release lists, changes of other projects and sources of the charts; no chart
was pulled from its repository here. All but external-dns bring their definitions with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart, and where it is installed."""

    name: str
    repository: str
    version: str
    release: str
    namespace: str


_ISTIO: Final = "https://istio-release.storage.googleapis.com/charts"
_ISTIO_VERSION: Final = "1.30.4"
_ISTIO_NAMESPACE: Final = "istio-system"

ISTIO_BASE: Final = Chart(
    name="base", repository=_ISTIO, version=_ISTIO_VERSION, release="istio-base", namespace=_ISTIO_NAMESPACE
)
ISTIOD: Final = Chart(
    name="istiod", repository=_ISTIO, version=_ISTIO_VERSION, release="istiod", namespace=_ISTIO_NAMESPACE
)
ISTIO_GATEWAY: Final = Chart(
    name="gateway",
    repository=_ISTIO,
    version=_ISTIO_VERSION,
    release="istio-ingressgateway",
    namespace=_ISTIO_NAMESPACE,
)
"""Release and namespace are those of the stack's gateway."""
CHARTS: Final[Mapping[str, Chart]] = {
    # Operator 0.93, Prometheus 3.14, Grafana 13.2. Its Grafana is a chart of another project since 2026, which it names
    # itself.
    "prometheusStack": Chart(
        name="kube-prometheus-stack",
        repository="https://prometheus-community.github.io/helm-charts",
        version="91.2.1",
        release="kube-prometheus-stack",
        namespace="monitoring",
    ),
    "certManager": Chart(
        name="cert-manager",
        repository="https://charts.jetstack.io",
        version="v1.21.2",
        release="cert-manager",
        namespace="cert-manager",
    ),
    "keda": Chart(
        name="keda",
        repository="https://kedacore.github.io/charts",
        version="2.20.2",
        release="keda",
        namespace="keda",
    ),
    # CloudNativePG 1.30.0.
    "cloudNativePg": Chart(
        name="cloudnative-pg",
        repository="https://cloudnative-pg.github.io/charts",
        version="0.29.0",
        release="cloudnative-pg",
        namespace="cnpg-system",
    ),
    # Plugin 0.14.0. The operator finds it in its own namespace only.
    "barmanCloud": Chart(
        name="plugin-barman-cloud",
        repository="https://cloudnative-pg.github.io/charts",
        version="0.7.1",
        release="plugin-barman-cloud",
        namespace="cnpg-system",
    ),
    "gpuOperator": Chart(
        name="gpu-operator",
        repository="https://helm.ngc.nvidia.com/nvidia",
        version="v26.7.0",
        release="gpu-operator",
        namespace="gpu-operator",
    ),
    # external-dns 0.22.0.
    "externalDns": Chart(
        name="external-dns",
        repository="https://kubernetes-sigs.github.io/external-dns",
        version="1.22.0",
        release="external-dns",
        namespace="external-dns",
    ),
}
"""By the name under which the setting `prerequisites` knows it; Istio is three charts, above."""
