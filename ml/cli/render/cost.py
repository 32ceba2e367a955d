"""What a stack costs a month, as far as its program says: an estimate to compare designs by.

Priced is what is declared. Amounts that no program says (traffic, objects, logs, hours of GPUs) are assumed, the same
for every stack; what has no known price is named instead of counted as nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ml.cli.render.graph import Declared, Rendered
from ml.cli.render.prices import Machine, Prices
from ml.cli.render.workload import Demand, demanded, disks_gib

_NOT_FOR_PODS: Final = 0.15
"""Share of a machine that its system and its agents take."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that costs something."""

    what: str
    amount: float
    unit: str
    unit_usd: float
    source: str
    assumed: bool = False
    """Whether the amount is a guess."""

    @property
    def monthly_usd(self) -> float:
        """What it costs a month."""
        return self.amount * self.unit_usd


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a stack costs a month."""

    stack: str
    region: str
    prices: Prices
    lines: tuple[Line, ...]
    unpriced: tuple[str, ...]
    """What costs something that we do not know."""
    notes: tuple[str, ...]

    @property
    def monthly_usd(self) -> float:
        """The sum of all lines."""
        return sum(line.monthly_usd for line in self.lines)


def estimate(rendered: Rendered, prices: Prices) -> Estimate:
    """Return what a stack costs a month."""
    region = next((str(item.inputs.get("region", "")) for item in rendered.of("pulumi:providers:aws")), "")
    if not region:
        note = "the cluster of this stack is somebody else's: nothing that the stack declares has a price by itself"
        return Estimate(stack=rendered.title, region="", prices=prices, lines=(), unpriced=(), notes=(note,))
    bill = _Bill(rendered, prices, region)
    bill.add_everything()
    return Estimate(
        stack=rendered.title,
        region=region,
        prices=prices,
        lines=tuple(bill.lines),
        unpriced=tuple(bill.unpriced),
        notes=tuple(bill.notes),
    )


class _Bill:
    """Goes through what is declared and collects what it costs."""

    def __init__(self, rendered: Rendered, prices: Prices, region: str) -> None:
        self._rendered, self._prices, self._region = rendered, prices, region
        self._hours = prices.hours_per_month
        self.lines: list[Line] = []
        self.unpriced: list[str] = []
        self.notes: list[str] = []

    def add_everything(self) -> None:
        """Collect all lines."""
        self._add("control plane", "cluster", self._count("aws:eks/cluster:Cluster") * self._hours)
        self._add_nodes()
        self._add_gpus()
        self._add("disks of pods", "disk", disks_gib(self._rendered))
        self._add_network()
        self._add_data()

    def _count(self, kind: str) -> int:
        return sum(1 for _ in self._rendered.of(kind))

    def _add(self, what: str, item: str, amount: float, *, region: str = "", assumed: bool = False) -> None:
        if not amount:
            return
        price = self._prices.prices.get((region or self._region, item))
        if price is None:
            self.unpriced.append(f"{what}: no price of {item} in {region or self._region}")
            return
        line = Line(what=what, amount=amount, unit=price.unit, unit_usd=price.usd, source=price.source, assumed=assumed)
        self.lines.append(line)

    def _add_machines(self, what: str, machine: Machine, hours: float, *, assumed: bool = False) -> None:
        line = Line(
            what=what,
            amount=hours,
            unit="hour",
            unit_usd=machine.hourly_usd,
            source=machine.source,
            assumed=assumed,
        )
        self.lines.append(line)

    def _add_nodes(self) -> None:
        """Add the managed nodes, and those that Karpenter adds for what does not fit on them."""
        asked = demanded(self._rendered)
        for group in self._rendered.of("aws:eks/nodeGroup:NodeGroup"):
            kind, count = group.inputs["instanceTypes"][0], int(group.inputs["scalingConfig"]["minSize"])
            machine = self._prices.machines.get((self._region, kind))
            if machine is None:
                self.unpriced.append(f"managed nodes: no price of {kind} in {self._region}")
                continue
            self._add_machines(f"managed nodes, {count} x {kind}", machine, count * self._hours)
            asked = asked.less(_offer(machine, count))
        self._add("disks of managed nodes", "disk", self._managed_disks_gib())
        for pool in self._rendered.of("kubernetes:karpenter.sh/v1:NodePool"):
            if not _gpus_of(pool):
                self._add_added_nodes(pool, asked)

    def _add_added_nodes(self, pool: Declared, asked: Demand) -> None:
        machine = self._prices.cheapest(self._region, tuple(_values(pool, "instance-family")))
        if machine is None:
            self.unpriced.append(f"pool {pool.name}: no price of any of its families in {self._region}")
            return
        one = _offer(machine, 1)
        count = max(math.ceil(asked.cpus / one.cpus), math.ceil(asked.memory_gib / one.memory_gib), 0)
        if count:
            self._add_machines(f"nodes of pool {pool.name}, {count} x {machine.type}", machine, count * self._hours)
            self._add(f"disks of pool {pool.name}", "disk", count * self._class_gib(pool))
        if "spot" in _values(pool, "capacity-type"):
            self.notes.append(f"pool {pool.name} takes spot where there is any; priced is on demand")

    def _add_gpus(self) -> None:
        hours = self._prices.assumed["gpu_hours"]
        for pool in self._rendered.of("kubernetes:karpenter.sh/v1:NodePool"):
            gpus = _gpus_of(pool)
            if not gpus:
                continue
            machine = self._prices.cheapest(self._region, tuple(_values(pool, "instance-family")), gpus)
            if machine is None:
                self.unpriced.append(f"pool {pool.name}: no price of its machines with {gpus} GPUs in {self._region}")
                continue
            self._add_machines(f"pool {pool.name}, one {machine.type} when asked for", machine, hours, assumed=True)
            most = int(pool.inputs["spec"]["limits"]["nvidia.com/gpu"]) // gpus
            top = most * machine.hourly_usd * self._hours
            self.notes.append(f"pool {pool.name} costs nothing while idle, and {top:,.0f} a month if always full")

    def _add_network(self) -> None:
        nats = self._count("aws:ec2/natGateway:NatGateway")
        self._add("NAT gateways", "nat-gateway", nats * self._hours)
        traffic = self._prices.assumed["nat_traffic_gib"] if nats else 0
        self._add("traffic through NAT gateways", "nat-gateway-traffic", traffic, assumed=True)
        self._add("public addresses", "public-address", self._count("aws:ec2/eip:Eip") * self._hours)
        zones = sum(
            len(item.inputs["subnetIds"])
            for item in self._rendered.of("aws:ec2/vpcEndpoint:VpcEndpoint")
            if item.inputs.get("vpcEndpointType") == "Interface"
        )
        self._add("private endpoints", "interface-endpoint", zones * self._hours)
        balancers = list(self._rendered.of("aws:lb/loadBalancer:LoadBalancer"))
        self._add("load balancer", "load-balancer", len(balancers) * self._hours)
        addresses = sum(len(item.inputs["subnets"]) for item in balancers)
        self._add("public addresses of the load balancer", "public-address", addresses * self._hours)

    def _add_data(self) -> None:
        for key in self._rendered.of("aws:kms/key:Key"):
            self._add(f"key {key.name}", "key", 1, region=str(key.inputs.get("region", "")))
        assumed = self._prices.assumed
        for bucket in self._rendered.of("aws:s3/bucket:Bucket"):
            region = str(bucket.inputs.get("region", ""))
            item = "object-storage-replica" if region else "object-storage"
            self._add(f"objects of {bucket.name}", item, assumed["objects_gib"], region=region, assumed=True)
        if self._count("aws:s3/bucketReplicationConfig:BucketReplicationConfig"):
            self._add("copying of objects", "replication-traffic", assumed["replicated_gib"], assumed=True)
        self._add_databases()
        self._add("alarms", "alarm", self._count("aws:cloudwatch/metricAlarm:MetricAlarm"))
        if self._count("aws:cloudwatch/logGroup:LogGroup"):
            self._add("logs", "log-ingestion", assumed["logs_gib"], assumed=True)

    def _add_databases(self) -> None:
        for server in self._rendered.of("aws:rds/instance:Instance"):
            kind, zones = str(server.inputs["instanceClass"]), 2 if server.inputs.get("multiAz") else 1
            machine = self._prices.machines.get((self._region, kind))
            where = f"{kind} in {zones} zone{'s' if zones > 1 else ''}"
            if machine is None:
                self.unpriced.append(f"{server.name}: no price of {kind} in {self._region}")
            else:
                self._add_machines(f"{server.name}, {where}", machine, zones * self._hours)
            size = int(server.inputs["allocatedStorage"])
            self._add(f"storage of {server.name}, {where}", "database-storage", zones * size)
            most = int(server.inputs.get("maxAllocatedStorage") or size)
            self.notes.append(
                f"{server.name} is priced with {size} GiB and grows to {most}; backups beyond its size cost more"
            )

    def _managed_disks_gib(self) -> float:
        size = sum(
            int(disk["ebs"]["volumeSize"])
            for template in self._rendered.of("aws:ec2/launchTemplate:LaunchTemplate")
            for disk in template.inputs["blockDeviceMappings"]
        )
        count = sum(
            int(group.inputs["scalingConfig"]["minSize"]) for group in self._rendered.of("aws:eks/nodeGroup:NodeGroup")
        )
        return float(size * count)

    def _class_gib(self, pool: Declared) -> float:
        classes = self._rendered.of("kubernetes:karpenter.k8s.aws/v1:EC2NodeClass")
        return sum(
            float(disk["ebs"]["volumeSize"].removesuffix("Gi"))
            for item in classes
            if item.inputs["metadata"]["name"] == pool.name
            for disk in item.inputs["spec"]["blockDeviceMappings"]
        )


def _offer(machine: Machine, count: int) -> Demand:
    share = (1 - _NOT_FOR_PODS) * count
    return Demand(cpus=machine.cpus * share, memory_gib=machine.memory_gib * share)


def _gpus_of(pool: Declared) -> int:
    return int(next(iter(_values(pool, "instance-gpu-count")), 0))


def _values(pool: Declared, key: str) -> Iterator[str]:
    requirements: list[Mapping[str, Any]] = pool.inputs["spec"]["template"]["spec"]["requirements"]
    yield from (value for item in requirements if item["key"].endswith(f"/{key}") for value in item["values"])
