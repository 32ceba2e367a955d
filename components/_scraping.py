"""What Prometheus reads, from which pods, and under which labels: builders of its configuration.

Pods are found by name: each kind of target has a headless Service, whose addresses are those of its pods, ready or not.
That needs no right to the Kubernetes API, and works with builds of Prometheus that know nothing of Kubernetes, such as
Debian's. Whatever the gateway runs, its series get the labels `model`, `slot` and `code_class` here, so that rules need
know one form only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Literal

import pulumi

from components._alerting import Alerting
from components._naming import fitting_name
from ml.contracts import (
    API_PORT,
    CONTROLLER_METRICS_PORT,
    DATABASE_EXPORTER,
    DATABASE_EXPORTER_PORT,
    EXPERIMENT_CONTROLLER,
    GATEWAY_ADMIN_PORT,
    LOGIN_METRICS_PORT,
    MLFLOW_PORT,
    PAGE_LOGIN,
    PROMETHEUS_PORT,
    S3_PORT,
    SERVING_REST_PORT,
    SYNC_PORT,
    TEAM_REGISTRY,
    TEAM_REGISTRY_PORT,
)

GatewayProxy = Literal["istio", "envoy"]
"""Istio's own proxy, or Envoy as its makers build it: they count under different names."""

_REFRESH = "5s"
_ENVOY_SERIES = (
    "envoy_cluster_upstream_rq|envoy_cluster_upstream_rq_time_(bucket|sum|count)|envoy_cluster_membership_(healthy|total)"
    "|envoy_http_downstream_cx_active|envoy_server_(uptime|live|memory_allocated)"
    "|envoy_(cluster_manager_cds|listener_manager_lds)_update_rejected|envoy_http_rds_update_rejected"
)
_ISTIO_SERIES = "istio_requests_total|istio_request_duration_milliseconds_(bucket|sum|count)|envoy_server_.*"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A port of one kind of pods, at which metrics are read."""

    job: str
    workload: str
    """Value of the pods' label app.kubernetes.io/name."""
    port: int
    path: str = "/metrics"
    token: bool = False
    """Whether it wants a bearer token; Prometheus finds it in a file called like the job."""


@dataclass(frozen=True, kw_only=True)
class DistantTarget:
    """A port of pods in another namespace, at which metrics are read."""

    job: str
    selector: Mapping[str, str]
    port: int
    path: str = "/metrics"
    drop: str | None = None
    """Names of series that are not kept."""


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """Another namespace and what is read there."""

    namespace: pulumi.Input[str]
    namespace_name: str
    """Its name as a plain text: the configuration contains it."""
    targets: tuple[DistantTarget, ...]


TARGETS = (
    Target(
        job="model-server",
        workload="model-server",
        port=SERVING_REST_PORT,
        path="/monitoring/prometheus/metrics",
    ),
    Target(job="version-sync", workload="model-server", port=SYNC_PORT),
    Target(job="tracking-server", workload="tracking-server", port=MLFLOW_PORT),
    Target(job="metadata-db", workload=DATABASE_EXPORTER, port=DATABASE_EXPORTER_PORT),
    Target(job="object-store", workload="object-store", port=S3_PORT, path="/minio/v2/metrics/cluster", token=True),
    Target(job="controller", workload=EXPERIMENT_CONTROLLER, port=CONTROLLER_METRICS_PORT),
    Target(job="api", workload="api", port=API_PORT),
    Target(job=TEAM_REGISTRY, workload=TEAM_REGISTRY, port=TEAM_REGISTRY_PORT),
    Target(job="page-login", workload=PAGE_LOGIN, port=LOGIN_METRICS_PORT),
)
GATEWAY_TARGET = "gateway"


def finder(name: str, workload: str) -> str:
    """Return the name of the headless Service by which Prometheus `name` finds the pods of a workload."""
    return f"{name}-finds-{workload}"


def distant_finder(namespace: str, target: str) -> str:
    """Return the same for a target elsewhere, where the Services of several platforms, each of a namespace, may lie."""
    return fitting_name(f"{namespace}-finds-{target}")


def configuration(
    name: str,
    *,
    namespace: str,
    gateway_namespace: str,
    proxy: GatewayProxy,
    interval_seconds: int,
    rules_folder: str,
    tokens_folder: str,
    absent: AbstractSet[str] = frozenset(),
    elsewhere: Sequence[Elsewhere] = (),
    alerting: Alerting | None = None,
) -> dict[str, Any]:
    """Return the whole configuration of Prometheus.

    Args:
        name: of the component.
        namespace: the platform's.
        gateway_namespace: that of the gateway's pods.
        proxy: what they run.
        interval_seconds: between two scrapes.
        rules_folder: where its rules are.
        tokens_folder: where it finds the tokens that targets want.
        absent: workloads that the stack does not run.
        elsewhere: what is read in other namespaces.
        alerting: who is told of alerts; None if nobody is.
    """
    interval = f"{interval_seconds}s"
    return {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": f"{min(interval_seconds, 10)}s",
            # Rules are looked at as often as there is something new to see.
            "evaluation_interval": interval,
            **({"external_labels": dict(alerting.labels)} if alerting else {}),
        },
        **({"alerting": alerting.section()} if alerting else {}),
        "rule_files": [f"{rules_folder}/*.yaml"],
        "scrape_configs": [
            _job(
                GATEWAY_TARGET,
                _addresses(distant_finder(namespace, GATEWAY_TARGET), gateway_namespace, GATEWAY_ADMIN_PORT),
                path="/stats/prometheus",
                labels=_istio_labels(namespace) if proxy == "istio" else _envoy_labels(namespace),
            ),
            *(
                _job(
                    target.job,
                    _addresses(finder(name, target.workload), namespace, target.port),
                    path=target.path,
                    token_file=f"{tokens_folder}/{target.job}/token" if target.token else None,
                    # TensorFlow Serving starts its names with a colon, which rules keep for themselves.
                    labels=[_copy(["__name__"], "__name__", regex=":tensorflow:(.+)", value="tensorflow:$1")],
                )
                for target in TARGETS
                if target.workload not in absent
            ),
            *(job for other in elsewhere for job in _distant_jobs(namespace, other)),
            _job("prometheus", {"static_configs": [{"targets": [f"localhost:{PROMETHEUS_PORT}"]}]}),
        ],
    }


def _job(
    job: str,
    targets: Mapping[str, Any],
    *,
    path: str = "/metrics",
    token_file: str | None = None,
    labels: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    # The file is read again for each scrape, so a new token needs no restart.
    authorization = {"authorization": {"type": "Bearer", "credentials_file": token_file}} if token_file else {}
    return {
        "job_name": job,
        "metrics_path": path,
        **authorization,
        **targets,
        # The pod's address alone, so that series of two ports of one pod can be joined.
        "relabel_configs": [_copy(["__address__"], "instance", regex="(.+):[0-9]+")],
        "metric_relabel_configs": [dict(label) for label in labels],
    }


def _distant_jobs(namespace: str, elsewhere: Elsewhere) -> list[dict[str, Any]]:
    return [
        _job(
            target.job,
            _addresses(distant_finder(namespace, target.job), elsewhere.namespace_name, target.port),
            path=target.path,
            labels=[{"source_labels": ["__name__"], "regex": target.drop, "action": "drop"}] if target.drop else [],
        )
        for target in elsewhere.targets
    ]


def _addresses(service: str, namespace: str, port: int) -> dict[str, Any]:
    query = {
        "names": [f"{service}.{namespace}.svc.cluster.local"],
        "type": "A",
        "port": port,
        "refresh_interval": _REFRESH,
    }
    return {"dns_sd_configs": [query]}


def _envoy_labels(namespace: str) -> list[dict[str, Any]]:
    """Read model and slot from a cluster's name, `outbound|8501|SLOT|MODEL.NAMESPACE.svc.cluster.local`."""
    cluster = rf"outbound\|{SERVING_REST_PORT}\|([^|]+)\|([^.|]+)\.{_escaped(namespace)}\.svc\.cluster\.local;?"
    return [
        _keep(["__name__"], _ENVOY_SERIES),
        _copy(["cluster_name"], "slot", regex=cluster, value="$1"),
        _copy(["cluster_name"], "model", regex=cluster, value="$2"),
        _copy(["response_code_class"], "code_class"),
    ]


def _istio_labels(namespace: str) -> list[dict[str, Any]]:
    """Read the model from the destination's name; pods carry their slot as Istio's canonical revision."""
    destination = ["reporter", "destination_service_namespace", "destination_service_name"]
    model = f"source;{_escaped(namespace)};(.+)"
    return [
        _keep(["__name__"], _ISTIO_SERIES),
        _copy(destination, "model", regex=model, value="$1"),
        _copy(["destination_canonical_revision"], "slot"),
        _copy(["response_code"], "code_class", regex="([1-5])[0-9][0-9]", value="${1}xx"),
        # No answer at all is a failure of the service.
        _copy(["response_code"], "code_class", regex="0", value="5xx"),
    ]


def _keep(labels: Sequence[str], regex: str) -> dict[str, Any]:
    return {"source_labels": list(labels), "regex": regex, "action": "keep"}


def _copy(labels: Sequence[str], target: str, *, regex: str = "(.+)", value: str = "$1") -> dict[str, Any]:
    return {"source_labels": list(labels), "regex": regex, "target_label": target, "replacement": value}


def _escaped(text: str) -> str:
    return text.replace(".", r"\.")
