"""How experiments go: their phases and decisions, how the arms compare, and whether the controller keeps up."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from components._dashboards.panels import board, lines, number
from ml.contracts import GATEWAY_LATENCY_SERIES, GATEWAY_REQUESTS_SERIES

_SLOT = "{{model}} {{slot}}"
_PER_SLOT = f"sum by (model, slot) (rate({GATEWAY_REQUESTS_SERIES}[5m]))"
_PER_MODEL = f"sum by (model) (rate({GATEWAY_REQUESTS_SERIES}[5m]))"
_FINAL = "Promoted|RolledBack|Inconclusive|Invalid|Cancelled"
_PROBES = "healthz|readyz|metrics"
"""Operations of the API that Kubernetes and Prometheus ask for."""


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    result = board("ab-testing", "A/B testing", "Experiments on live traffic; results are on the page of the API.")
    for panel in (
        number(
            "Active experiments",
            "Not yet in a final phase.",
            "none",
            f'sum(mlplatform_controller_experiments{{phase!~"{_FINAL}"}}) or vector(0)',
        ),
        number(
            "Holding",
            "For want of data.",
            "none",
            'sum(mlplatform_controller_experiments{phase="HoldNoData"}) or vector(0)',
        ),
        number("Controllers that lead", "Exactly 1.", "none", "sum(mlplatform_controller_leader)"),
        number(
            "Since the last reconcile",
            "Grows while there is nothing to reconcile.",
            "s",
            "time() - max(mlplatform_controller_last_success_timestamp_seconds)",
        ),
    ):
        result = result.with_panel(panel)
    for lined in (
        lines(
            "Experiments by phase",
            "As the leader knows them.",
            "none",
            {"{{phase}}": "sum by (phase) (mlplatform_controller_experiments)"},
        ),
        lines(
            "Decisions",
            "Per hour, by action.",
            "none",
            {"{{action}}": "sum by (action) (increase(mlplatform_controller_decisions_total[1h]))"},
        ),
        lines(
            "Share of the requests",
            "As measured at the gateway, which is what was in force.",
            "percentunit",
            {_SLOT: f"{_PER_SLOT} / on (model) group_left {_PER_MODEL}"},
        ),
        lines(
            "Slower than 100 ms",
            "Share of each arm's requests: what the latency guardrail counts.",
            "percentunit",
            {
                _SLOT: f'1 - sum by (model, slot) (rate({GATEWAY_LATENCY_SERIES}{{le="100"}}[5m])) / '
                f'sum by (model, slot) (rate({GATEWAY_LATENCY_SERIES}{{le="+Inf"}}[5m]))'
            },
            limit=0.05,
        ),
        lines(
            "Outcomes reported",
            "Per second, by what became of them.",
            "reqps",
            {"{{result}}": "sum by (result) (rate(mlplatform_api_outcomes_total[5m]))"},
        ),
        lines(
            "Reconcile, 99th percentile",
            "Work on one experiment, and how late it was.",
            "s",
            {
                name: f"histogram_quantile(0.99, sum by (le) (rate(mlplatform_controller_{name}_seconds_bucket[5m])))"
                for name in ("reconcile", "lag")
            },
        ),
        lines(
            "Failures",
            "Per hour, by who did not answer the controller.",
            "none",
            {"{{port}}": "sum by (port) (increase(mlplatform_controller_errors_total[1h]))"},
        ),
        lines(
            "API, 95th percentile",
            "Time to the last byte, by operation; without what the cluster asks.",
            "s",
            {
                "{{operation}}": "histogram_quantile(0.95, sum by (operation, le) "
                f'(rate(mlplatform_api_request_seconds_bucket{{operation!~"{_PROBES}"}}[5m])))'
            },
        ),
    ):
        result = result.with_panel(lined)
    return result
