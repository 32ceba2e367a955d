"""What the pods of a rendered stack ask for: processors, memory and disks. Jobs are left out: they end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ml.cli.render.graph import Declared, Rendered
from policies._quantity import parse

_SERVERS: Final = ("Deployment", "StatefulSet")
_GIB: Final = 2**30


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Processors and memory."""

    cpus: float
    memory_gib: float

    def less(self, offer: Demand) -> Demand:
        """Return what is left when this much is there."""
        return Demand(cpus=max(self.cpus - offer.cpus, 0), memory_gib=max(self.memory_gib - offer.memory_gib, 0))


def demanded(rendered: Rendered) -> Demand:
    """Return what all servers together ask for."""
    asked = [
        (_replicas(server), container.get("resources", {}).get("requests", {}))
        for server in _servers(rendered)
        for container in server.inputs["spec"]["template"]["spec"]["containers"]
    ]
    return Demand(
        cpus=sum(replicas * _amount(requests, "cpu") for replicas, requests in asked),
        memory_gib=sum(replicas * _amount(requests, "memory") for replicas, requests in asked) / _GIB,
    )


def disks_gib(rendered: Rendered) -> float:
    """Return the size of all disks that outlive their pods."""
    claims = [
        (_replicas(server), claim["spec"]["resources"]["requests"])
        for server in _servers(rendered)
        for claim in server.inputs["spec"].get("volumeClaimTemplates", [])
    ]
    return sum(replicas * _amount(requests, "storage") for replicas, requests in claims) / _GIB


def _servers(rendered: Rendered) -> Iterator[Declared]:
    yield from (item for item in rendered.made() if item.is_object and item.inputs["kind"] in _SERVERS)


def _replicas(server: Declared) -> int:
    return int(server.inputs["spec"].get("replicas", 1))


def _amount(requests: Mapping[str, Any], name: str) -> float:
    return float(parse(str(requests.get(name, "0"))) or 0)
