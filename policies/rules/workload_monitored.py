"""Workload of which nobody reads metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies._indexing import Selectors
from policies._kinds import CONTROLLED
from policies._model import Finding, Resource, Severity, Situated, StackRule
from policies._paths import UNKNOWN, read
from policies._samples import LABELS, service, thing, workload
from policies._selecting import lacking, pod_labels, selects


def check(stack: Situated) -> Iterator[Finding]:
    """Find workloads that neither a monitor nor a Service for Prometheus selects."""
    monitors = stack.of("monitoring.coreos.com/ServiceMonitor")
    watched = Selectors((item.namespace, read(item.properties, "spec.selector")) for item in monitors)
    doors = [item for item in stack.of("core/Service") if _is_for_prometheus(item) or _is_watched(item, watched)]
    index = Selectors((item.namespace, _selector(item)) for item in doors)
    for owner in stack.of(*CONTROLLED):
        yield from lacking(owner, index.for_labels(owner.namespace, pod_labels(owner)), "nothing reads its metrics")


def _selector(service: Resource) -> Any:
    return {"matchLabels": read(service.properties, "spec.selector")}


def _is_watched(service: Resource, watched: Selectors) -> bool:
    labels = read(service.properties, "metadata.labels")
    return any(selects(item, labels) for item in watched.for_labels(service.namespace, labels))


def _is_for_prometheus(service: Resource) -> bool:
    label = read(service.properties, "metadata.labels[app.kubernetes.io/name]")
    return label == "monitoring"


RULE = StackRule(
    id="workload-monitored",
    title="workload of which nobody reads metrics",
    severity=Severity.MEDIUM,
    frameworks=("NSA/CISA",),
    why="What is not measured fails in silence, and no alert can speak of it.",
    how="Add a ServiceMonitor, or a Service of the monitoring component that finds its pods.",
    check=check,
    concerns=CONTROLLED,
    fails=(workload(), service(LABELS)),
    passes=(workload(), service(LABELS, **{"app.kubernetes.io/name": "monitoring"})),
    neighbour=(
        workload(),
        service(LABELS, app="server"),
        thing(
            "monitoring.coreos.com/ServiceMonitor", "server", {"spec": {"selector": {"matchLabels": {"app": "server"}}}}
        ),
    ),
    unknown=(workload(), service(UNKNOWN, **{"app.kubernetes.io/name": "monitoring"})),
    missing=(workload(labels={}), service(LABELS, **{"app.kubernetes.io/name": "monitoring"})),
)
