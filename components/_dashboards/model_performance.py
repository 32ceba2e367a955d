"""How the models serve: requests, errors and latency per slot, what each slot serves, and what that depends on."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from components._dashboards.panels import board, lines, number
from ml.contracts import GATEWAY_LATENCY_SERIES, GATEWAY_REQUESTS_SERIES, PIPELINE_RUNS_SERIES

_SLOT = "{{model}} {{slot}}"
_REQUESTS = f"sum by (model, slot) (rate({GATEWAY_REQUESTS_SERIES}[5m]))"
_ERRORS = f'sum by (model, slot) (rate({GATEWAY_REQUESTS_SERIES}{{code_class="5xx"}}[5m]))'


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    result = board("model-performance", "Model performance", "Predictions as callers see them, at the gateway.")
    for panel in (
        number("Model registry", "1 while it answers.", "none", 'max(up{job="tracking-server"})'),
        number("Object store", "1 while it answers.", "none", 'max(up{job="object-store"})'),
        number("Slots that serve", "Pods that have a version to serve.", "none", "sum(mlplatform_sync_ready)"),
        number("Gateways measured", "Without one, experiments hold.", "none", 'sum(up{job="gateway"})'),
    ):
        result = result.with_panel(panel)
    for lined in (
        lines("Requests", "Per second and slot.", "reqps", {_SLOT: _REQUESTS}),
        lines(
            "Failed requests",
            "Share of 5xx; the objective is at most 5 %.",
            "percentunit",
            {_SLOT: f"({_ERRORS} or 0 * {_REQUESTS}) / {_REQUESTS}"},
            limit=0.05,
        ),
        lines(
            "Latency, 95th percentile",
            "The objective is 100 ms, an edge of the histogram: the line crosses it exactly when more than 5 % of the "
            "requests take longer.",
            "ms",
            {_SLOT: f"histogram_quantile(0.95, sum by (model, slot, le) (rate({GATEWAY_LATENCY_SERIES}[5m])))"},
            limit=100,
        ),
        lines(
            "Requests slower than 100 ms",
            "Share of all requests; the objective is at most 5 %.",
            "percentunit",
            {
                _SLOT: f'1 - sum by (model, slot) (rate({GATEWAY_LATENCY_SERIES}{{le="100"}}[5m])) / '
                f'sum by (model, slot) (rate({GATEWAY_LATENCY_SERIES}{{le="+Inf"}}[5m]))'
            },
            limit=0.05,
        ),
        lines(
            "Version served",
            "By the alias that a slot follows.",
            "none",
            {"{{model}} {{alias}}": "max by (model, alias) (mlplatform_sync_serving_version)"},
        ),
        lines(
            "Predictions inside the model server",
            "Per second, by TensorFlow Serving's own count.",
            "reqps",
            {"{{model_name}}": "sum by (model_name) (rate(tensorflow:serving:request_count[5m]))"},
        ),
        lines(
            "Pipeline runs",
            "Runs that ended within a day, by how they ended.",
            "none",
            {"{{pipeline}} {{result}}": f"sum by (pipeline, result) (increase({PIPELINE_RUNS_SERIES}[1d]))"},
        ),
        lines(
            "Failed pipeline runs",
            "Share of the runs that ended within a day; the objective is at most 5 %.",
            "percentunit",
            {
                "{{pipeline}}": f'sum by (pipeline) (increase({PIPELINE_RUNS_SERIES}{{result="failed"}}[1d])) / '
                f"sum by (pipeline) (increase({PIPELINE_RUNS_SERIES}[1d]))"
            },
            limit=0.05,
        ),
        lines(
            "Database connections",
            "By database; the server refuses more than it is set to.",
            "none",
            {"{{datname}}": 'sum by (datname) (pg_stat_database_numbackends{datname!=""})'},
        ),
        lines(
            "Size of the stores",
            "Of each database, and what the object store's volume holds.",
            "bytes",
            {
                "database {{datname}}": 'max by (datname) (pg_database_size_bytes{datname!~"template.*"})',
                "object store": "max(minio_cluster_capacity_usable_total_bytes) - "
                "max(minio_cluster_capacity_usable_free_bytes)",
            },
        ),
    ):
        result = result.with_panel(lined)
    return result
