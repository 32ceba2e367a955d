"""What the API tells Prometheus about itself."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_EDGES_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Series of one application; each has its own registry, so that two can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        prefix = "mlplatform_api"
        self.requests = Counter(
            f"{prefix}_requests_total", "Requests answered.", ["operation", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            f"{prefix}_request_seconds",
            "Time to the last byte of an answer.",
            ["operation"],
            buckets=_EDGES_SECONDS,
            registry=self.registry,
        )
        self.outcomes = Counter(
            f"{prefix}_outcomes_total", "Outcomes reported, by what became of them.", ["result"], registry=self.registry
        )
        self.commands = Counter(f"{prefix}_commands_total", "Commands issued.", ["action"], registry=self.registry)
        self.subscriptions = Gauge(f"{prefix}_subscriptions", "Live GraphQL subscriptions.", registry=self.registry)
        self.audit_failures = Counter(
            f"{prefix}_audit_failures_total", "Writes whose record for the audit was lost.", registry=self.registry
        )
        self.projection_lag = Gauge(
            f"{prefix}_projection_lag_events",
            "Events of the log that a read model has still to take in; it stays above 0 if the model stands still.",
            ["projection"],
            registry=self.registry,
        )
