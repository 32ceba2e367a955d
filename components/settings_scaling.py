"""The settings by which parts of the platform grow and shrink; `components.settings` reads them as `autoscaling`.

What follows the load is named here and nowhere else: a part with a section here must not have `replicas` of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from components._rules import choice, dns_label, integer
from components._schema import camel_case, schema, section, setting

_FEWEST, _MOST = 1, 50
"""The policies refuse an autoscaler with more."""
_SLOWEST_SCRAPE_SECONDS = 15
"""Three of these must fit into a minute: reading a series, making another of it, asking for it."""

_pods = integer(_FEWEST, _MOST, "pods")
_percent = integer(10, 95, "percent of the reserved CPU")
_minutes = integer(1, 60, "minutes")


@schema
class PartScaling(ABC):
    """Bounds of one part, and what its pods may bear."""

    minimum: int = setting(_pods, default=2)
    """Never 0: a model server without pods could not load a version, and a first request would fail."""
    maximum: int = setting(integer(2, _MOST, "pods"))
    cpu_percent: int = setting(_percent, default=70)
    """Always counts: it needs nothing but metrics-server, so it acts even while Prometheus does not."""
    calm_minutes: int = setting(_minutes, default=10)
    """How long the load must have been lower before pods go, one a minute."""

    def conflicts(self, faulty: AbstractSet[str]) -> Iterator[tuple[str, str]]:
        """Refuse bounds that leave nothing to decide."""
        if faulty.isdisjoint({"minimum", "maximum"}) and self.maximum <= self.minimum:
            yield "maximum", f"more than minimum, which is {self.minimum}"

    @abstractmethod
    def measured_targets(self) -> Mapping[str, int | None]:
        """Return the targets for which Prometheus has to be asked, by field."""


@schema
class ModelServerScaling(PartScaling):
    """The slots of all models, each scaled by itself."""

    concurrency: int | None = setting(integer(1, 1_000, "requests that one pod has in hand at a time"), default=None)
    gpu_percent: int | None = setting(integer(10, 95, "percent of the GPUs' time"), default=None)

    def measured_targets(self) -> Mapping[str, int | None]:
        """Return what Prometheus has to be asked for, by field."""
        return {"concurrency": self.concurrency, "gpu_percent": self.gpu_percent}


@schema
class RequestScaling(PartScaling):
    """A part that is scaled by how often it is asked."""

    requests_per_second: int | None = setting(integer(1, 10_000, "requests per second and pod"), default=None)

    def measured_targets(self) -> Mapping[str, int | None]:
        """Return what Prometheus has to be asked for, by field."""
        return {"requests_per_second": self.requests_per_second}


@schema
class AutoscalingSettings:
    """What grows with its load. A part that is left out keeps the `replicas` of its own section."""

    engine: str = setting(choice(("keda", "hpa")), default="keda")
    """`hpa` needs no KEDA in the cluster and knows CPU only."""
    keda_namespace: str = setting(dns_label, default="keda")
    """Where KEDA's operator runs, which Prometheus then lets in and measures."""
    model_server: ModelServerScaling | None = setting(section(ModelServerScaling), default=None)
    tracking_server: RequestScaling | None = setting(section(RequestScaling), default=None)
    api: RequestScaling | None = setting(section(RequestScaling), default=None)

    def conflicts(self, faulty: AbstractSet[str]) -> Iterator[tuple[str, str]]:
        """Refuse targets that the engine cannot look at."""
        if "engine" in faulty or self.engine == "keda":
            return
        for name, part in self.parts(faulty).items():
            if named := [camel_case(key) for key, value in part.measured_targets().items() if value is not None]:
                yield name, f"cpuPercent and no {' or '.join(named)}, unless `engine` is keda"

    def parts(self, faulty: AbstractSet[str] = frozenset()) -> dict[str, PartScaling]:
        """Return the parts that are scaled, by field; those that are `faulty` are left out."""
        found = {"model_server": self.model_server, "tracking_server": self.tracking_server, "api": self.api}
        return {name: part for name, part in found.items() if part is not None and name not in faulty}

    def asks_prometheus(self) -> bool:
        """Say whether anything is scaled by what Prometheus knows."""
        targets = [target for part in self.parts().values() for target in part.measured_targets().values()]
        return any(target is not None for target in targets)

    def beside(
        self, *, own_replicas: AbstractSet[str], cards_measured: bool, shared: bool, scrape_interval_seconds: int
    ) -> Iterator[tuple[str, str]]:
        """Yield what does not fit the rest of the settings, as fields of those with what is allowed there.

        Args:
            own_replicas: sections that say how many pods they want.
            cards_measured: whether model servers have GPUs and Prometheus reads their use.
            shared: whether several pods take turns on them.
            scrape_interval_seconds: how often Prometheus looks.
        """
        for name in self.parts():
            if name in own_replicas:
                yield name, f"a table without replicas where `autoscaling.{camel_case(name)}` decides about them"
        slots = self.model_server
        if slots is not None and slots.gpu_percent is not None:
            if not cards_measured:
                allowed = "unless `modelServer.resources.gpus` is 1 or more and `gpu.operator` is true"
                yield "autoscaling", f"modelServer without gpuPercent, {allowed}"
            elif shared:
                yield (
                    "autoscaling",
                    "modelServer without gpuPercent: on a shared card everybody is as busy as the others",
                )
        if self.asks_prometheus() and scrape_interval_seconds > _SLOWEST_SCRAPE_SECONDS:
            allowed = f"scrapeIntervalSeconds of at most {_SLOWEST_SCRAPE_SECONDS} where `autoscaling` asks Prometheus"
            yield "monitoring", allowed
