"""What the pods of a rendered stack ask for: processors, memory and disks. Jobs are left out: they end.

Where an autoscaler decides about a workload's pods, its minimum counts: that many are there without any load.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ml.cli.render.graph import Declared, Rendered
from policies._quantity import parse

_SERVERS: Final = ("Deployment", "StatefulSet")
_FEWEST: Final = {"ScaledObject": "minReplicaCount", "HorizontalPodAutoscaler": "minReplicas"}
"""Kinds of autoscalers, with the field that says how many pods they leave at least."""
_DATABASE: Final = "kubernetes:postgresql.cnpg.io/v1:Cluster"
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
    scaled = _scaled(rendered)
    asked = [
        (_replicas(server, scaled), container.get("resources", {}).get("requests", {}))
        for server in _servers(rendered)
        for container in server.inputs["spec"]["template"]["spec"]["containers"]
    ]
    asked += [(int(cluster["instances"]), cluster["resources"]["requests"]) for cluster in _databases(rendered)]
    return Demand(
        cpus=sum(replicas * _amount(requests, "cpu") for replicas, requests in asked),
        memory_gib=sum(replicas * _amount(requests, "memory") for replicas, requests in asked) / _GIB,
    )


def disks_gib(rendered: Rendered) -> float:
    """Return the size of all disks that outlive their pods."""
    scaled = _scaled(rendered)
    claims = [
        (_replicas(server, scaled), claim["spec"]["resources"]["requests"])
        for server in _servers(rendered)
        for claim in server.inputs["spec"].get("volumeClaimTemplates", [])
    ]
    claims += [
        (int(cluster["instances"]), {"storage": cluster[volume]["size"]})
        for cluster in _databases(rendered)
        for volume in ("storage", "walStorage")
    ]
    return sum(replicas * _amount(requests, "storage") for replicas, requests in claims) / _GIB


def _databases(rendered: Rendered) -> Iterator[Mapping[str, Any]]:
    """Return what is declared of the databases that CloudNativePG runs, each of several servers."""
    yield from (item.inputs["spec"] for item in rendered.of(_DATABASE))


def _servers(rendered: Rendered) -> Iterator[Declared]:
    yield from (item for item in rendered.made() if item.is_object and item.inputs["kind"] in _SERVERS)


def _scaled(rendered: Rendered) -> dict[str, int]:
    """Return the fewest pods that autoscalers leave, by the name that they share with what they scale."""
    found: dict[str, int] = {}
    for item in rendered.made():
        field = _FEWEST.get(item.inputs["kind"]) if item.is_object else None
        if field is not None:
            found[item.inputs["metadata"]["name"]] = int(item.inputs["spec"][field])
    return found


def _replicas(server: Declared, scaled: Mapping[str, int]) -> int:
    name = server.inputs.get("metadata", {}).get("name", "")
    return int(server.inputs["spec"].get("replicas", scaled.get(name, 1)))


def _amount(requests: Mapping[str, Any], name: str) -> float:
    return float(parse(str(requests.get(name, "0"))) or 0)
