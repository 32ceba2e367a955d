"""Machines that Karpenter may choose from where no cloud is asked: a few of AWS's, with the labels it gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from components._workload import GPU_RESOURCE

ZONES: Final = ("eu-central-1a", "eu-central-1b")
_LABELS: Final = "karpenter.k8s.aws"
_OF_ON_DEMAND: Final = 0.4
"""What spot costs of the price on demand."""


@dataclass(frozen=True, kw_only=True)
class InstanceType:
    """A type of machine."""

    name: str
    cpus: int
    memory_gib: int
    gpus: int = 0
    price: float
    """On demand. Only the order matters: nothing is paid."""
    spot: bool = True
    """Whether there is any to be had on the spot market."""

    @property
    def capacity(self) -> dict[str, str]:
        """What a node of this type has, cards included."""
        cards = {GPU_RESOURCE: str(self.gpus)} if self.gpus else {}
        return {"cpu": str(self.cpus), "memory": f"{self.memory_gib}Gi", "pods": "58", **cards}

    def listed(self) -> dict[str, Any]:
        """Return the type as Karpenter's cloud of objects reads it.

        It knows AWS's labels only where an offer says them. That an offer is out of stock it ignores, so what cannot be
        had is not offered.
        """
        offers = [("on-demand", self.price), *([("spot", self.price * _OF_ON_DEMAND)] if self.spot else [])]
        return {
            "name": self.name,
            "architecture": "amd64",
            "operatingSystems": ["linux"],
            "resources": {**self.capacity, "ephemeral-storage": "100Gi"},
            "offerings": [
                {"Price": price, "Available": True, "Requirements": self._requirements(capacity, zone)}
                for capacity, price in offers
                for zone in ZONES
            ],
        }

    def _requirements(self, capacity: str, zone: str) -> list[dict[str, Any]]:
        labels = {
            "karpenter.sh/capacity-type": capacity,
            "topology.kubernetes.io/zone": zone,
            f"{_LABELS}/instance-family": self.name.partition(".")[0],
            **({f"{_LABELS}/instance-gpu-count": str(self.gpus)} if self.gpus else {}),
        }
        return [{"key": key, "operator": "In", "values": [value]} for key, value in labels.items()]


INSTANCE_TYPES: Final[Mapping[str, InstanceType]] = {
    item.name: item
    for item in (
        InstanceType(name="m7i.large", cpus=2, memory_gib=8, price=0.1),
        InstanceType(name="m7i.xlarge", cpus=4, memory_gib=16, price=0.2),
        InstanceType(name="g4dn.xlarge", cpus=4, memory_gib=16, gpus=1, price=0.6),
        InstanceType(name="g5.xlarge", cpus=4, memory_gib=16, gpus=1, price=1.2, spot=False),
        InstanceType(name="g6.xlarge", cpus=4, memory_gib=16, gpus=1, price=1.0),
        InstanceType(name="g6.12xlarge", cpus=48, memory_gib=192, gpus=4, price=5.7),
        InstanceType(name="g6e.xlarge", cpus=4, memory_gib=32, gpus=1, price=2.3),
        InstanceType(name="p5.4xlarge", cpus=16, memory_gib=256, gpus=1, price=8.0),
    )
}
