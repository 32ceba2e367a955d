"""Who is told of alerts: the Alertmanagers that a stack names, where their pods are, and who speaks to them.

Each address is sent every alert, so the members of an Alertmanager that runs several times are named one by one: they
tell each other what they have sent, not what they have heard. Only plain HTTP without a login is spoken, as inside a
cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Any, Final

from components._network import Destination, ServicePeer

_SERVICE: Final = ("svc",)
_FULL_SERVICE: Final = ("svc", "cluster", "local")
_SERVICE_AND_NAMESPACE: Final = 2


@dataclass(frozen=True, kw_only=True)
class Alertmanager:
    """An Alertmanager that Prometheus sends its alerts to."""

    address: str
    """Host and port."""
    destination: Destination
    """What of it a network policy can name."""


@dataclass(frozen=True, kw_only=True)
class Alerting:
    """Where alerts go, and who they are from."""

    alertmanagers: tuple[Alertmanager, ...]
    labels: Mapping[str, str]
    """Of every alert on its way out, unless it has one of that name: several platforms may tell the same people."""

    def section(self) -> dict[str, Any]:
        """Return the part `alerting` of Prometheus's configuration."""
        targets = [alertmanager.address for alertmanager in self.alertmanagers]
        return {"alertmanagers": [{"static_configs": [{"targets": targets}]}]}


def named(address: str, *, home: str) -> Alertmanager:
    """Return the Alertmanager at an address that the rule `host_and_port` accepts.

    Args:
        address: of it; SERVICE and SERVICE.NAMESPACE are names in the cluster, with `.svc` and `.svc.cluster.local` or
            without; every other name is one outside.
        home: the namespace in which Prometheus runs, where a name of one word lies.
    """
    host, _, port = address.rpartition(":")
    return Alertmanager(address=address, destination=_destination(host, int(port), home))


def behind(service: ServicePeer) -> Alertmanager:
    """Return the Alertmanager behind a Service whose pods are known."""
    destination = Destination(port=service.port, namespace=service.namespace, pods=service.selector)
    return Alertmanager(address=f"{service.service}.{service.namespace}.svc:{service.port}", destination=destination)


def _destination(host: str, port: int, home: str) -> Destination:
    try:
        return Destination(port=port, cidr=f"{IPv4Address(host)}/32")
    except AddressValueError:
        words = tuple(host.split("."))
    for ending in (_SERVICE, _FULL_SERVICE):
        if len(words) > len(ending) and words[-len(ending) :] == ending:
            return Destination(port=port, namespace=words[-len(ending) - 1])
    if len(words) <= _SERVICE_AND_NAMESPACE:
        return Destination(port=port, namespace=words[1] if len(words) == _SERVICE_AND_NAMESPACE else home)
    return Destination(port=port)
