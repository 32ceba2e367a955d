"""What the controller tells Prometheus about itself."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from ml.contracts import TRAINING_PIPELINE
from ml.events.records import PipelineCounts

_PREFIX: Final = "mlplatform_controller"
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)


class _PipelineRuns(Collector):
    """Totals that the event store keeps: a process could only count what it has seen itself."""

    def __init__(self) -> None:
        self.counts: Mapping[str, PipelineCounts] | None = None
        """None while this controller does not act, or has not looked yet."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the counter; a pipeline that never ran is told of too, else its first failure would raise nothing."""
        family = CounterMetricFamily(
            "mlplatform_pipeline_runs", "Pipeline runs that have ended.", labels=["pipeline", "result"]
        )
        if self.counts is not None:
            for name, counts in {TRAINING_PIPELINE: PipelineCounts(), **self.counts}.items():
                family.add_metric([name, "succeeded"], counts.succeeded)
                family.add_metric([name, "failed"], counts.failed)
        yield family


class ControllerMetrics:
    """All series of one controller."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            f"{_PREFIX}_reconcile_seconds",
            "Time per reconcile of one experiment.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._lag = Histogram(
            f"{_PREFIX}_lag_seconds",
            "Time from when an experiment was due or changed until its reconcile was done.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._experiments = Gauge(f"{_PREFIX}_experiments", "Experiments by phase.", ["phase"], registry=self.registry)
        self._decisions = Counter(f"{_PREFIX}_decisions", "Decisions by action.", ["action"], registry=self.registry)
        self._errors = Counter(f"{_PREFIX}_errors", "Failures by who failed.", ["port"], registry=self.registry)
        self._leader = Gauge(f"{_PREFIX}_leader", "1 in the controller that acts, else 0.", registry=self.registry)
        self._last_success = Gauge(
            f"{_PREFIX}_last_success_timestamp_seconds",
            "When experiments were last reconciled; 0 before the first time.",
            registry=self.registry,
        )

        self._pipeline_runs = _PipelineRuns()
        self.registry.register(self._pipeline_runs)

    def reconciled(self, seconds: float, lag_seconds: float) -> None:
        """One experiment was looked at."""
        self._seconds.observe(seconds)
        self._lag.observe(lag_seconds)

    def ticked(self, phases: Iterable[str], at: float) -> None:
        """A tick ended; the phases are those of all experiments."""
        self._experiments.clear()
        for phase, count in Tally(phases).items():
            self._experiments.labels(phase).set(count)
        self._last_success.set(at)

    def decided(self, action: str) -> None:
        """A decision was made."""
        self._decisions.labels(action).inc()

    def failed(self, port: str) -> None:
        """Somebody did not answer."""
        self._errors.labels(port).inc()

    def pipelines(self, counts: Mapping[str, PipelineCounts]) -> None:
        """The pipeline runs were looked at."""
        self._pipeline_runs.counts = counts

    def leads(self, leading: bool) -> None:
        """This controller began or ceased to act."""
        self._leader.set(int(leading))
        if not leading:
            self._experiments.clear()  # else two controllers would report the same experiments
            self._pipeline_runs.counts = None

    def serve(self, port: int) -> None:
        """Answer `GET /metrics` on all addresses, in a thread of its own."""
        start_http_server(port, registry=self.registry)
