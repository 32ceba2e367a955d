"""The settings of each part of the platform; `components.settings` reads them as sections of one stack's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from components._rules import (
    choice,
    dns_label,
    flag,
    host_and_port,
    integer,
    listing,
    own_namespace,
    table,
    text,
    word,
)
from components._schema import schema, section, setting
from components._workload import Resources
from components.settings_database_cluster import CLOUD_NATIVE_PG, DatabaseClusterSettings
from ml.contracts import DEFAULT_CANDIDATE_SLOT, GATEWAY_NAMESPACE, GATEWAY_SELECTOR, STABLE_SLOT

_label_name = text(r"([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "a label name")
_label_value = text(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "a label value", max_length=63)
_model_name = text(
    r"[a-z][a-z0-9_]*[a-z0-9]", "a model name: a-z, 0-9 and inner underscores, first a letter", max_length=36
)
_slot_name = text(
    r"[a-z]([a-z0-9-]*[a-z0-9])?", "a slot name: a-z, 0-9 and inner hyphens, first a letter", max_length=16
)
_host_pattern = text(r"[A-Za-z0-9.*:\[\]-]+", "a host name, address or pattern with `*`")
_https_address = text(r"https://[^\s]+", "an address that starts with https://", max_length=2048)
_gateway_proxy = text(r"istio|envoy", "`istio` (Istio's own proxy) or `envoy` (as its makers build it)")
_alertmanager = host_and_port("alertmanager-operated.monitoring:9093")
_accelerator = text(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", "a card such as l4", max_length=63)
_DATABASE = Resources(cpu_millis=500, memory_mib=1024, memory_limit_mib=2048)
_STORE = Resources(cpu_millis=500, memory_mib=1024, memory_limit_mib=2048)
_SERVER = Resources(cpu_millis=1000, memory_mib=1024, memory_limit_mib=4096)
_SYNC = Resources(cpu_millis=50, memory_mib=128, memory_limit_mib=512)
_CONTROLLER = Resources(cpu_millis=100, memory_mib=256, memory_limit_mib=1024)
_API = Resources(cpu_millis=200, memory_mib=256, memory_limit_mib=1024)
_PIPELINES_API = Resources(cpu_millis=250, memory_mib=512, memory_limit_mib=2048)
_PIPELINES_DATABASE = Resources(cpu_millis=250, memory_mib=1024, memory_limit_mib=2048)
_MONITORING = Resources(cpu_millis=200, memory_mib=512, memory_limit_mib=2048)


@schema
class MetadataDbSettings:
    """The relational store."""

    kind: str = setting(choice(("pod", CLOUD_NATIVE_PG, "rds")), default="pod")
    """`cloudNativePg` lets that operator run several servers with backups, which `cluster` describes; `rds` takes AWS's
    own server, which `aws.database` describes. Storage and resources here are about one server in the cluster."""
    storage_gib: int = setting(integer(1, 65_536, "GiB"), default=20)
    max_connections: int = setting(integer(20, 5_000), default=200)
    resources: Resources = setting(section(Resources, _DATABASE), default=_DATABASE)
    cluster: DatabaseClusterSettings | None = setting(section(DatabaseClusterSettings), default=None)
    """Only where `kind` is `cloudNativePg`; None takes the defaults there."""

    def conflicts(self, faulty: AbstractSet[str]) -> Iterator[tuple[str, str]]:
        """Refuse a second description of the server."""
        if faulty.isdisjoint({"kind", "cluster"}) and self.cluster is not None and not self.is_cluster:
            yield "cluster", f"absent, unless `kind` is {CLOUD_NATIVE_PG}"

    @property
    def is_cluster(self) -> bool:
        """Whether CloudNativePG runs the servers."""
        return self.kind == CLOUD_NATIVE_PG

    @property
    def servers(self) -> DatabaseClusterSettings:
        """What CloudNativePG is told."""
        return self.cluster or DatabaseClusterSettings()


@schema
class ObjectStoreSettings:
    """The object store."""

    kind: str = setting(choice(("minio", "s3")), default="minio")
    """`s3` takes AWS's own, in the account that `aws` names; what follows here is about MinIO."""
    storage_gib: int = setting(integer(1, 65_536, "GiB"), default=100)
    resources: Resources = setting(section(Resources, _STORE), default=_STORE)


@schema
class TrackingServerSettings:
    """The tracking server."""

    workers: int = setting(integer(1, 64, "processes"), default=4)
    replicas: int = setting(integer(1, 20), default=2)
    cpu_millis: int = setting(integer(10, 128_000, "thousandths of a core"), default=500)
    memory_per_worker_mib: int = setting(integer(256, 65_536, "MiB"), default=512)
    allowed_hosts: tuple[str, ...] = setting(listing(_host_pattern), default=("10.*",))
    """Host patterns besides the server's own names; metrics are read by pod address, so they name the pods' range."""


@schema
class ModelServerSettings:
    """What the slots of all models have in common."""

    replicas: int = setting(integer(1, 100, "pods per slot"), default=2)
    storage_mib: int = setting(integer(64, 1_048_576, "MiB"), default=10_240)
    sync_interval_seconds: int = setting(integer(1, 3_600, "seconds"), default=15)
    resources: Resources = setting(section(Resources, _SERVER), default=_SERVER)
    sync_resources: Resources = setting(section(Resources, _SYNC), default=_SYNC)
    accelerator: str | None = setting(_accelerator, default=None)
    """The card that all slots must have, as the nodes' label `accelerator` names it or, where cards are claimed, as a
    word of its product's name; None takes any."""
    idle_budget_minutes: int = setting(integer(1, 99_999, "minutes"), default=60)
    """How long a slot's GPUs may wait for requests before somebody has to give them back: a note for people."""
    cpu_fallback: bool = setting(flag(), default=False)
    """Whether slots that want GPUs are served without, where the stack's own nodes have none such. All slots alike: an
    experiment between a slot with a GPU and one without would compare the machines."""


@schema
class ControllerSettings:
    """The experiment controller."""

    replicas: int = setting(integer(1, 5), default=2)
    """One leads, the others wait."""
    split_timeout_seconds: int = setting(integer(1, 600, "seconds"), default=30)
    resources: Resources = setting(section(Resources, _CONTROLLER), default=_CONTROLLER)


@schema
class OidcSettings:
    """An OpenID Connect issuer whose tokens the API accepts."""

    issuer: str = setting(_https_address)
    audience: str = setting(word)
    keys_url: str = setting(_https_address)
    scope_claim: str = setting(word, default="scope")


@schema
class ApiSettings:
    """The API."""

    replicas: int = setting(integer(1, 20), default=2)
    reads_per_second: int = setting(integer(1, 100_000, "requests of one caller"), default=50)
    writes_per_second: int = setting(integer(1, 100_000, "requests of one caller"), default=10)
    outcomes_per_second: int = setting(integer(1, 1_000_000, "reported outcomes of one caller"), default=5_000)
    oidc: OidcSettings | None = setting(section(OidcSettings), default=None)
    """None accepts the stack's own tokens only."""
    resources: Resources = setting(section(Resources, _API), default=_API)


@schema
class MonitoringSettings:
    """Prometheus."""

    scrape_interval_seconds: int = setting(integer(1, 300, "seconds"), default=15)
    retention_days: int = setting(integer(1, 3_650, "days"), default=15)
    storage_gib: int = setting(integer(1, 65_536, "GiB"), default=20)
    resources: Resources = setting(section(Resources, _MONITORING), default=_MONITORING)
    alertmanagers: tuple[str, ...] = setting(listing(_alertmanager, maximum=8), default=())
    """Who is told of alerts: SERVICE.NAMESPACE:PORT in the cluster, the port being the pods' own, or a host outside
    (docs/operations.md). Empty takes that of the Prometheus stack where `prerequisites` installs it, and tells nobody
    elsewhere."""


@schema
class PipelineServiceSettings:
    """Kubeflow Pipelines. Without it pipelines run in a Job, by Kubeflow's local runner.

    Its web page is there where `access` lets somebody open it.
    """

    enabled: bool = setting(flag(), default=False)
    namespace: str = setting(own_namespace, default="kubeflow")
    cache: bool = setting(flag(), default=True)
    """Whether a step whose inputs were seen before is skipped."""
    replicas: int = setting(integer(1, 5), default=2)
    """Of the workflow controller, of which one leads, and of the page."""
    parallel_runs: int | None = setting(integer(1, 1_000, "runs"), default=None)
    """How many runs work at a time; the others wait for their turn. None starts the steps of all at once."""
    storage_gib: int = setting(integer(1, 65_536, "GiB"), default=20)
    api_resources: Resources = setting(section(Resources, _PIPELINES_API), default=_PIPELINES_API)
    database_resources: Resources = setting(section(Resources, _PIPELINES_DATABASE), default=_PIPELINES_DATABASE)


@schema
class GatewaySettings:
    """The ingress gateway, which the mesh brings."""

    service: str = setting(dns_label, default="istio-ingressgateway")
    namespace: str = setting(dns_label, default=GATEWAY_NAMESPACE)
    proxy: str = setting(_gateway_proxy, default="istio")
    """What its pods run. Envoy's own build shows which routes it has; of Istio's it is not known outside the pod."""
    selector: Mapping[str, str] = setting(
        table(_label_value, key_rule=_label_name), default_factory=lambda: dict(GATEWAY_SELECTOR)
    )


@schema
class ModelSettings:
    """One served model."""

    name: str = setting(_model_name)
    slots: tuple[str, ...] = setting(
        listing(_slot_name, minimum=2, maximum=8), default=(STABLE_SLOT, DEFAULT_CANDIDATE_SLOT)
    )
    """In the fixed order of destinations. Two at least: the gateway refuses a sticky split with one destination."""

    def conflicts(self, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
        """Refuse slots without the stable one at their head."""
        if "slots" in faulty or self.slots[0] == STABLE_SLOT:
            return []
        return [("slots", f"a list that starts with `{STABLE_SLOT}`")]
