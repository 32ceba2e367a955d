"""The settings of a stack that makes its own cluster on AWS; `components.settings` reads them as its section `aws`.

Every value decides structure and so is plain. Names and ARNs follow from them without asking AWS, which lets a preview
show whole IAM policies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from ipaddress import IPv4Network

from components._aws import AwsScope
from components._aws_catalogue import (
    CPU_FAMILIES,
    GPU_CARDS,
    GPU_FAMILIES,
    INTERFACE_ENDPOINTS,
    LOG_RETENTION_DAYS,
    MIG_SLICES,
    REGIONS,
)
from components._rules import choice, flag, integer, listing, network, text
from components._schema import schema, section, setting
from components.settings_database import DatabaseSettings

_name = text(r"[a-z][a-z0-9-]{0,22}[a-z0-9]", "2 to 24 of a-z, 0-9 and inner hyphens, first a letter", max_length=24)
_account_id = text(r"[0-9]{12}", "the 12 digits of an AWS account, in quotes")
_region = choice(REGIONS)
_zone = text(r"[a-f]", "a zone's letter from a to f")
_kubernetes_version = text(r"1\.(3[5-9]|[4-9][0-9])", "a Kubernetes version of EKS from 1.35, in quotes")
_instance_type = text(r"[a-z][a-z0-9-]*\.[a-z0-9]+", "an instance type such as m7i.large")
_principal = text(r"arn:aws:iam::[0-9]{12}:(role|user)/[\w+=,.@/-]+", "the ARN of an IAM role or user", max_length=2048)
_tag_value = text(r"[\w.:/=+@-]([\w .:/=+@-]*[\w.:/=+@-])?", "a tag value", max_length=256)
_capacity = choice(("on-demand", "spot"))
_image = text(r"bottlerocket@v[0-9]+\.[0-9]+\.[0-9]+", "a Bottlerocket release such as bottlerocket@v1.63.0")
_zone_id = text(r"Z[A-Z0-9]{5,31}", "the id of a Route 53 hosted zone")
_mail = text(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")
_pool_name = text(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?", "a pool name: a-z, 0-9 and inner hyphens", max_length=20)
_mig_profile = text(r"[1-7]g\.[0-9]+gb", "a profile of slices such as 1g.5gb")
_retention_days = integer(
    min(LOG_RETENTION_DAYS), max(LOG_RETENTION_DAYS), f"days, one of {', '.join(map(str, LOG_RETENTION_DAYS))}"
)
_MOST_IDLE_SECONDS = 900
MOST_TIME_SLICES = 16
"""Pods that may take turns on a card."""
_ON_DEMAND = "on-demand"
_SMALLEST_NETWORK = 20
_ZONES = 3


@schema
class SystemNodesSettings:
    """The managed node group: what must run before Karpenter can add nodes, Karpenter itself, and the gateway.

    Nothing scales it: who needs more room gets nodes of Karpenter's pools.
    """

    instance_types: tuple[str, ...] = setting(listing(_instance_type, minimum=1, maximum=8), default=("m7i.large",))
    count: int = setting(integer(2, 20, "nodes"), default=3)
    volume_gib: int = setting(integer(30, 1_000, "GiB"), default=60)


@schema
class CpuPoolSettings:
    """The nodes that Karpenter adds for everything without a GPU."""

    families: tuple[str, ...] = setting(listing(choice(CPU_FAMILIES), minimum=1), default=("m7i", "m6i", "c7i", "r7i"))
    capacity: tuple[str, ...] = setting(listing(_capacity, minimum=1), default=(_ON_DEMAND,))
    """With both, spot is taken where there is any and on-demand where there is none."""
    cpu_limit: int = setting(integer(4, 10_000, "cores in all"), default=64)
    memory_limit_gib: int = setting(integer(8, 100_000, "GiB in all"), default=256)
    idle_seconds: int = setting(integer(30, _MOST_IDLE_SECONDS, "seconds"), default=120)
    """How long a node is under-used before its pods are moved together."""
    expire_hours: int = setting(integer(1, 720, "hours"), default=336)
    """Age at which a node is replaced, so that none misses security updates for long."""
    volume_gib: int = setting(integer(30, 4_000, "GiB"), default=80)

    def conflicts(self, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
        """Refuse spot alone: stable slots and databases run here."""
        if "capacity" not in faulty and _ON_DEMAND not in self.capacity:
            return [("capacity", f"a list with {_ON_DEMAND}: stable slots and databases run on these nodes")]
        return []


@schema
class GpuPoolSettings:
    """Nodes with GPUs that exist only while a pod asks for one."""

    name: str = setting(_pool_name)
    families: tuple[str, ...] = setting(listing(choice(tuple(GPU_CARDS)), minimum=1))
    capacity: tuple[str, ...] = setting(listing(_capacity, minimum=1), default=("spot", _ON_DEMAND))
    gpu_limit: int = setting(integer(1, 1_000, "GPUs in all"), default=4)
    gpus_per_node: int = setting(integer(1, 8, "GPUs"), default=1)
    idle_seconds: int = setting(integer(30, _MOST_IDLE_SECONDS, "seconds"), default=300)
    """How long an empty node is kept for the next pod."""
    expire_hours: int = setting(integer(1, 720, "hours"), default=168)
    volume_gib: int = setting(integer(100, 4_000, "GiB"), default=150)
    time_slices: int = setting(integer(1, MOST_TIME_SLICES, "pods per card"), default=1)
    """Pods take turns on a card and ask for nvidia.com/gpu.shared; neither memory nor failures are divided."""
    mig_profile: str | None = setting(_mig_profile, default=None)
    """Every card is cut into as many slices of this profile as fit; each counts as a GPU."""

    def conflicts(self, faulty: AbstractSet[str]) -> Iterator[tuple[str, str]]:
        """Refuse a pool of several cards, whose label would lie, a limit that no node fits into, and odd slices."""
        if "families" not in faulty and len({GPU_CARDS[family] for family in self.families}) > 1:
            yield "families", "families with one and the same card: the label `accelerator` names it"
        if faulty.isdisjoint({"gpu_limit", "gpus_per_node"}) and self.gpu_limit < self.gpus_per_node:
            yield "gpu_limit", f"at least gpusPerNode, which is {self.gpus_per_node}"
        if self.mig_profile is None or "mig_profile" in faulty:
            return
        if "time_slices" not in faulty and self.time_slices > 1:
            yield "mig_profile", "absent where timeSlices is 2 or more: a slice is promised to one pod"
        if "families" not in faulty and self.mig_profile not in MIG_SLICES.get(self.accelerator, {}):
            profiles = ", ".join(MIG_SLICES.get(self.accelerator, {}))
            yield "mig_profile", f"one of {profiles}" if profiles else f"absent: {self.accelerator} cannot be cut"

    @property
    def accelerator(self) -> str:
        """The card, as pods ask for it."""
        return GPU_CARDS[self.families[0]]

    @property
    def slices(self) -> int:
        """Into how many GPUs a card is cut."""
        return 1 if self.mig_profile is None else MIG_SLICES[self.accelerator][self.mig_profile]


@schema
class BucketSettings:
    """How long objects of the platform's buckets are kept, and where."""

    infrequent_after_days: int = setting(integer(30, 3_650, "days"), default=60)
    """When artifacts move to cheaper storage; they stay readable at once."""
    replaced_kept_days: int = setting(integer(7, 3_650, "days"), default=90)
    """How long a version that was overwritten or deleted can still be brought back."""


@schema
class AccessSettings:
    """The public way in: a load balancer that ends TLS, and the hosts' names."""

    zone_id: str = setting(_zone_id)
    """Hosted zone of the stack's domain."""
    node_port: int = setting(integer(30_000, 32_767), default=30_080)
    """Port on every node that the mesh's gateway Service must have."""


@schema
class BudgetSettings:
    """What the stack may cost before somebody is told."""

    monthly_usd: int = setting(integer(1, 10_000_000, "US dollars a month"))
    mails: tuple[str, ...] = setting(listing(_mail, minimum=1, maximum=10))


@schema
class AwsSettings:
    """Everything about the cloud part of a stack."""

    name: str = setting(_name)
    """Name of the cluster; every other name in the account begins with it."""
    account_id: str = setting(_account_id)
    """The only account that the stack may touch."""
    region: str = setting(_region)
    replica_region: str = setting(_region)
    """Where a second copy of every object lies."""
    owner: str = setting(_tag_value)
    cost_center: str = setting(_tag_value)
    kubernetes_version: str = setting(_kubernetes_version, default="1.35")
    admin_principals: tuple[str, ...] = setting(listing(_principal, minimum=1, maximum=10))
    """Who may do everything in the cluster; the one who runs Pulumi is among them."""
    api_cidrs: tuple[str, ...] = setting(listing(network(32)), default=())
    """Networks that may call the Kubernetes API from outside. Without one it answers inside the VPC and networks
    connected to it, where nobody is before the first update; a later change of these changes the cluster in place."""
    zones: tuple[str, ...] = setting(listing(_zone, minimum=_ZONES, maximum=_ZONES), default=("a", "b", "c"))
    vpc_cidr: str = setting(network(_SMALLEST_NETWORK), default="10.64.0.0/16")
    service_cidr: str = setting(network(24), default="172.20.0.0/16")
    connected_cidrs: tuple[str, ...] = setting(listing(network(32)), default=())
    """Networks that this one is, or will be, connected to; they reach the Kubernetes API."""
    nat_per_zone: bool = setting(flag(), default=True)
    """One NAT gateway in every zone; otherwise one for all, and its zone's failure cuts off all."""
    interface_endpoints: tuple[str, ...] = setting(listing(choice(INTERFACE_ENDPOINTS)), default=INTERFACE_ENDPOINTS)
    log_retention_days: int = setting(_retention_days, default=90)
    highly_available: bool = setting(flag(), default=True)
    """Whether the stack must survive the loss of a pod, a node and a zone."""
    node_image: str = setting(_image, default="bottlerocket@v1.63.0")
    system_nodes: SystemNodesSettings = setting(section(SystemNodesSettings), default_factory=SystemNodesSettings)
    cpu_pool: CpuPoolSettings = setting(section(CpuPoolSettings), default_factory=CpuPoolSettings)
    gpu_pools: tuple[GpuPoolSettings, ...] = setting(listing(section(GpuPoolSettings), maximum=10), default=())
    bucket: BucketSettings = setting(section(BucketSettings), default_factory=BucketSettings)
    access: AccessSettings | None = setting(section(AccessSettings), default=None)
    """None leaves the way in to whoever runs the mesh."""
    budget: BudgetSettings | None = setting(section(BudgetSettings), default=None)
    database: DatabaseSettings | None = setting(section(DatabaseSettings), default=None)
    """The server of PostgreSQL where `metadataDb.kind` is `rds`, and absent elsewhere."""

    def conflicts(self, faulty: AbstractSet[str]) -> Iterator[tuple[str, str]]:
        """Refuse settings that are each allowed but not together."""
        if faulty.isdisjoint({"region", "replica_region"}) and self.region == self.replica_region:
            yield "replica_region", "another region than `region`: a copy beside the original is lost with it"
        if "log_retention_days" not in faulty and self.log_retention_days not in LOG_RETENTION_DAYS:
            yield "log_retention_days", f"one of {', '.join(map(str, LOG_RETENTION_DAYS))}"
        if faulty.isdisjoint({"highly_available", "nat_per_zone"}) and self.highly_available and not self.nat_per_zone:
            yield "nat_per_zone", "true, unless `highlyAvailable` is false"
        if faulty.isdisjoint({"highly_available", "database"}) and self._database_is_lost_with_its_zone:
            yield "database", "one with multiAz, unless `highlyAvailable` is false"
        yield from self._overlaps(faulty)
        if faulty.isdisjoint({"region", "gpu_pools"}):
            yield from self._gpu_problems()

    def _overlaps(self, faulty: AbstractSet[str]) -> Iterator[tuple[str, str]]:
        if not faulty.isdisjoint({"vpc_cidr", "service_cidr", "connected_cidrs"}):
            return
        if _overlap(self.vpc_cidr, [self.service_cidr]):
            yield "service_cidr", f"a network outside vpcCidr, which is {self.vpc_cidr}"
        for name in ("vpc_cidr", "service_cidr"):
            if taken := _overlap(getattr(self, name), self.connected_cidrs):
                yield name, f"a network apart from connectedCidrs, of which {taken} overlaps"

    def _gpu_problems(self) -> Iterator[tuple[str, str]]:
        names = [pool.name for pool in self.gpu_pools]
        if len(set(names)) < len(names):
            yield "gpu_pools", "a list in which every name occurs once"
        missing = sorted(
            {family for pool in self.gpu_pools for family in pool.families if family not in GPU_FAMILIES[self.region]}
        )
        if missing:
            known = ", ".join(GPU_FAMILIES[self.region])
            yield "gpu_pools", f"families of region {self.region}, which are {known}; there is no {', '.join(missing)}"

    @property
    def _database_is_lost_with_its_zone(self) -> bool:
        return self.highly_available and self.database is not None and not self.database.multi_az

    @property
    def scope(self) -> AwsScope:
        """Where the stack's resources are and what they are called."""
        return AwsScope(name=self.name, account_id=self.account_id, region=self.region, tags=self.tags)

    @property
    def tags(self) -> dict[str, str]:
        """What every resource carries that can carry tags."""
        return {
            "managed-by": "pulumi",
            "part-of": "mlplatform",
            "stack": self.name,
            "owner": self.owner,
            "cost-center": self.cost_center,
        }


def _overlap(cidr: str, others: Sequence[str]) -> str | None:
    network = IPv4Network(cidr)
    return next((other for other in others if network.overlaps(IPv4Network(other))), None)
