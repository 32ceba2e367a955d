"""What other projects run in the cluster for the platform, and how it is known that they do.

The settings of a stack say of each whether the stack installs it, finds it there, or does without it. What must be
found is checked by `prerequisite_check.py`. Versions are the oldest that have what is used here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

INSTALL: Final = "install"
PRESENT: Final = "present"
ABSENT: Final = "absent"

GPU_DEVICE_CLASS: Final = "gpu.nvidia.com"
"""Kind of device, as NVIDIA's driver for dynamic resource allocation names a whole card; and the driver's own name."""

OFFLINE_VARIABLE: Final = "MLP_OFFLINE"
"""Environment variable; if it is set, the program looks for nothing in the cluster."""


@dataclass(frozen=True, kw_only=True)
class Prerequisite:
    """Something that the platform may need."""

    title: str
    version: str
    """Oldest release that will do."""
    definitions: Mapping[str, str] = field(default_factory=dict[str, str])
    """Version that must be served, by the full name of a kind's definition."""
    operator: str | None = None
    """Labels of the Deployment that runs it, as a selector; None if no Deployment does. Where there is none, somebody
    runs it elsewhere, which is well unless `definitions` is empty."""
    device_class: str | None = None
    """Kind of device that it offers, which pods claim; of the driver of that name."""
    counted_as: str | None = None
    """How the names begin under which a device plugin counts the same devices: never on the same node."""
    installable: bool = True
    """Whether a stack can install it."""
    default: str = ABSENT


PREREQUISITES: Final[Mapping[str, Prerequisite]] = {
    "istio": Prerequisite(
        title="Istio",
        version="1.22",
        definitions={
            "gateways.networking.istio.io": "v1",
            "virtualservices.networking.istio.io": "v1",
            "destinationrules.networking.istio.io": "v1",
            "envoyfilters.networking.istio.io": "v1alpha3",
        },
        operator="app=istiod",
        default=PRESENT,
    ),
    "prometheusStack": Prerequisite(
        title="Prometheus Operator",
        version="0.66",
        definitions={
            "servicemonitors.monitoring.coreos.com": "v1",
            "podmonitors.monitoring.coreos.com": "v1",
            "prometheusrules.monitoring.coreos.com": "v1",
        },
        operator="app.kubernetes.io/component=prometheus-operator",
    ),
    "certManager": Prerequisite(
        title="cert-manager",
        version="1.15",
        definitions={
            "certificates.cert-manager.io": "v1",
            "clusterissuers.cert-manager.io": "v1",
            "issuers.cert-manager.io": "v1",
        },
        operator="app.kubernetes.io/name=cert-manager,app.kubernetes.io/component=controller",
    ),
    "keda": Prerequisite(
        title="KEDA",
        version="2.15",
        definitions={"scaledobjects.keda.sh": "v1alpha1", "triggerauthentications.keda.sh": "v1alpha1"},
        operator="app.kubernetes.io/name=keda-operator",
    ),
    "cloudNativePg": Prerequisite(
        title="CloudNativePG",
        version="1.30",
        definitions={
            "clusters.postgresql.cnpg.io": "v1",
            "databases.postgresql.cnpg.io": "v1",
            "databaseroles.postgresql.cnpg.io": "v1",
            "scheduledbackups.postgresql.cnpg.io": "v1",
        },
        operator="app.kubernetes.io/name=cloudnative-pg",
    ),
    # Its own manifest gives the Deployment no label that tells it from others, the chart does.
    "barmanCloud": Prerequisite(
        title="Barman Cloud plugin",
        version="0.14",
        definitions={"objectstores.barmancloud.cnpg.io": "v1"},
        operator="app.kubernetes.io/name=plugin-barman-cloud",
    ),
    "gpuOperator": Prerequisite(
        title="NVIDIA GPU operator",
        version="24.9",
        definitions={"clusterpolicies.nvidia.com": "v1"},
        operator="app.kubernetes.io/component=gpu-operator",
    ),
    # Its releases before 0.4 counted as years do, so no image tells whether it is old enough.
    "draDriver": Prerequisite(
        title="NVIDIA DRA driver",
        version="0.4",
        device_class=GPU_DEVICE_CLASS,
        counted_as="nvidia.com/",
        installable=False,
    ),
    "externalDns": Prerequisite(title="external-dns", version="0.14", operator="app.kubernetes.io/name=external-dns"),
}
"""By the name under which the setting `prerequisites` knows it."""
