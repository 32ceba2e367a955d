"""Rules that Prometheus evaluates: the series that decisions are made from, and the alerts.

Each alert has a runbook, docs/runbooks/<alert>.md, and a firing and a silent case in tests/components/test_alerts.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from components import _scaling
from components._scraping import GatewayProxy
from ml.contracts import (
    GATEWAY_LATENCY_SERIES,
    GATEWAY_MILLIS_SERIES,
    GATEWAY_REQUESTS_SERIES,
    PIPELINE_RUNS_SERIES,
)

_RUNBOOKS: Final = "docs/runbooks"
_COUNTERS: Final = {
    "envoy": ("envoy_cluster_upstream_rq", "envoy_cluster_upstream_rq_time"),
    "istio": ("istio_requests_total", "istio_request_duration_milliseconds"),
}
_LATENCY_LIMIT_MILLIS: Final = 100
_ERROR_LIMIT: Final = 0.05
_PIPELINE_FAILURE_LIMIT: Final = 0.05
_PIPELINE_WINDOW: Final = "1d"
_BACKUP_HOURS: Final = 26
"""A backup is taken every day; two hours for it to be ready."""
_BEHIND_SECONDS: Final = 60
_STANDSTILL: Final = "5m"
"""How long the API's read models may be behind the log without a break."""
_BACKUP: Final = "barman_cloud_cloudnative_pg_io_last"
_FEW_REQUESTS_PER_SECOND: Final = 0.1
"""Below this the slowest or the failed few say nothing about the service."""


def rule_groups(
    proxy: GatewayProxy, interval_seconds: int, scalers: Sequence[_scaling.Scaler] = (), *, database_servers: int = 0
) -> dict[str, Any]:
    """Return the content of a rule file.

    Args:
        proxy: what the gateway runs.
        interval_seconds: between two scrapes.
        scalers: whose questions the rules answer as well.
        database_servers: how many there are that tell of themselves and of their backups; 0 if they do not.
    """
    database = [{"name": "database", "rules": _database_alerts(database_servers)}] if database_servers else []
    return {
        "groups": [
            {"name": "gateway", "interval": f"{interval_seconds}s", "rules": _gateway_series(proxy)},
            {"name": "serving", "rules": _serving_alerts()},
            {"name": "platform", "rules": _platform_alerts()},
            {"name": "experiments", "rules": _experiment_alerts()},
            {"name": "pipelines", "rules": [*_pipeline_series(), *_pipeline_alerts()]},
            {"name": "scaling", "rules": [*_scaling.rules(scalers), *_scaling_alerts()]},
            *database,
        ]
    }


def _gateway_series(proxy: GatewayProxy) -> list[dict[str, Any]]:
    """Counters that look alike whatever the gateway runs; one group, so all have the same time stamps.

    They stay counters of one gateway each: a sum over gateways would fall when one of them starts anew, which nobody
    could tell from a reset.
    """
    requests, latency = _COUNTERS[proxy]
    named = 'model!="",slot!=""'
    buckets = f"sum by (instance, model, slot, le) ({latency}_bucket{{{named}}})"
    return [
        {
            "record": GATEWAY_REQUESTS_SERIES,
            "expr": f'sum by (instance, model, slot, code_class) ({requests}{{{named},code_class!=""}})',
        },
        # Since its third version Prometheus writes the edge 100 as 100.0.
        {"record": GATEWAY_LATENCY_SERIES, "expr": f'label_replace({buckets}, "le", "$1", "le", "([0-9]+)\\\\.0")'},
        {"record": GATEWAY_MILLIS_SERIES, "expr": f"sum by (instance, model, slot) ({latency}_sum{{{named}}})"},
    ]


def _serving_alerts() -> list[dict[str, Any]]:
    requests = f"sum by (model, slot) (rate({GATEWAY_REQUESTS_SERIES}[5m]))"
    errors = f'sum by (model, slot) (rate({GATEWAY_REQUESTS_SERIES}{{code_class="5xx"}}[5m]))'
    slowest = f"histogram_quantile(0.95, sum by (model, slot, le) (rate({GATEWAY_LATENCY_SERIES}[5m])))"
    enough = f"and {requests} > {_FEW_REQUESTS_PER_SECOND}"
    return [
        _alert(
            "ModelLatencyHigh",
            f"{slowest} > {_LATENCY_LIMIT_MILLIS} {enough}",
            after="5m",
            severity="warning",
            summary="{{ $labels.model }} answers slowly in slot {{ $labels.slot }}",
            description="95 of 100 answers take up to {{ $value | humanize }} ms; the objective is 100 ms.",
        ),
        _alert(
            "PredictionErrorRateHigh",
            f"{errors} / {requests} > {_ERROR_LIMIT} {enough}",
            after="2m",
            severity="critical",
            summary="{{ $labels.model }} fails in slot {{ $labels.slot }}",
            description="{{ $value | humanizePercentage }} of the requests fail; the objective is at most 5 %.",
        ),
    ]


def _platform_alerts() -> list[dict[str, Any]]:
    return [
        _alert(
            "ModelRegistryUnavailable",
            '(max(up{job="tracking-server"}) or vector(0)) == 0',
            after="1m",
            severity="critical",
            summary="The model registry does not answer",
            description="Slots keep what they serve; nothing can be registered, trained, promoted or rolled back.",
        ),
        _alert(
            "GatewayMetricsMissing",
            '(max(up{job="gateway"}) or vector(0)) == 0',
            after="2m",
            severity="critical",
            summary="No gateway is being measured",
            description="Experiments hold: without requests and latency from the gateway nothing is decided.",
        ),
    ]


def _experiment_alerts() -> list[dict[str, Any]]:
    held = 'sum by (phase) (mlplatform_controller_experiments{phase=~"HoldNoData|Promoting|RollingBack"}) > 0'
    active = 'sum(mlplatform_controller_experiments{phase!~"Promoted|RolledBack|Inconclusive|Invalid|Cancelled"}) > 0'
    idle = "time() - max(mlplatform_controller_last_success_timestamp_seconds) > 120"
    return [
        _alert(
            "ExperimentStuck",
            held,
            after="15m",
            severity="warning",
            summary="{{ $value }} experiment(s) stay in {{ $labels.phase }}",
            description="This phase is meant to be short; see what the experiment's status says it waits for.",
        ),
        _alert(
            "ExperimentControllerStalled",
            f'({idle} and {active}) or (max(up{{job="controller"}}) or vector(0)) == 0',
            after="1m",
            severity="critical",
            summary="The experiment controller does not get through its work",
            description="Weights stay as they are: nothing is promoted, and nothing harmful is rolled back.",
        ),
        _alert(
            "ExperimentViewsStandStill",
            # Each replica of the API says the same of all of them; while it is busy the lag comes and goes.
            f"min by (projection) (min_over_time(mlplatform_api_projection_lag_events[{_STANDSTILL}])) > 0",
            after="1m",
            severity="warning",
            summary="What the API shows of experiments is old: {{ $labels.projection }}",
            description="Decisions are taken all the same; people and programs that read do not see them.",
        ),
    ]


def _pipeline_series() -> list[dict[str, Any]]:
    """The event store's count, whichever controller tells it: another one is no new beginning of the counter."""
    told = "max by (pipeline, result) (mlplatform_pipeline_runs_total)"
    return [{"record": PIPELINE_RUNS_SERIES, "expr": told}]


def _pipeline_alerts() -> list[dict[str, Any]]:
    failed = f'sum by (pipeline) (increase({PIPELINE_RUNS_SERIES}{{result="failed"}}[{_PIPELINE_WINDOW}]))'
    ended = f"sum by (pipeline) (increase({PIPELINE_RUNS_SERIES}[{_PIPELINE_WINDOW}]))"
    return [
        _alert(
            "PipelineFailureRateHigh",
            # Runs are few, and each is somebody's: there is no number of them below which failures do not count.
            f"{failed} / {ended} > {_PIPELINE_FAILURE_LIMIT}",
            after="1m",
            severity="warning",
            summary="Runs of {{ $labels.pipeline }} fail",
            description="{{ $value | humanizePercentage }} of a day's runs failed; the objective is at most 5 %.",
        ),
    ]


def _scaling_alerts() -> list[dict[str, Any]]:
    wanted = f"max by (scaler) ({_scaling.WANTED_SERIES})"
    silent = f"{_scaling.MOST_SERIES} unless on (scaler) {wanted}"
    failed = "sum by (scaler) (label_replace(increase(keda_scaled_object_errors_total[5m]), "
    failed += '"scaler", "$1", "scaledObject", "(.+)")) > 0'
    away = 'label_replace(max(up{job="keda"}) == 0, "scaler", "every autoscaler", "", "")'
    return [
        _alert(
            "AutoscalerAtMaximum",
            f"{wanted} >= on (scaler) {_scaling.MOST_SERIES}",
            after="10m",
            severity="warning",
            summary="{{ $labels.scaler }} may not grow any more",
            description="The load asks for {{ $value | humanize }} pods, which are all it may have, or more.",
        ),
        _alert(
            "AutoscalerBlind",
            f"({silent}) or ({failed}) or ({away})",
            after="5m",
            severity="critical",
            summary="{{ $labels.scaler }} is not scaled",
            description="Its load is not known: it keeps its pods and grows by CPU at most.",
        ),
    ]


def _database_alerts(servers: int) -> list[dict[str, Any]]:
    # Every server tells of the backups of all.
    taken, failed = f"max({_BACKUP}_available_backup_timestamp)", f"max({_BACKUP}_failed_backup_timestamp)"
    archived, refused = (f"cnpg_pg_stat_archiver_last_{word}_time" for word in ("archived", "failed"))
    followers = "cnpg_pg_replication_in_recovery == 1"
    cut_off = f"({followers}) unless on (instance) cnpg_pg_replication_is_wal_receiver_up == 1"
    return [
        _alert(
            "DatabaseBackupMissing",
            f"(time() - {taken} > {_BACKUP_HOURS * 3600}) or ({failed} > {taken})",
            after="15m",
            severity="critical",
            summary="The database has no backup of today",
            description="Moments since the last backup can be restored only as long as every change is archived.",
        ),
        _alert(
            "DatabaseArchivingFails",
            f"max({refused} - {archived}) > 0",
            after="5m",
            severity="critical",
            summary="Changes of the database are not archived",
            description="They cannot be restored, and fill the disk of the log; the database stops when it is full.",
        ),
        _alert(
            "DatabaseServerMissing",
            f'(sum(up{{job="metadata-db-cluster"}}) or vector(0)) < {servers}',
            after="10m",
            severity="warning",
            summary="A server of the database is away",
            description=f"{{{{ $value }}}} of {servers} answer; the next failure may end all writing.",
        ),
        _alert(
            "DatabaseReplicaBehind",
            f"({cut_off}) or (max by (instance) (cnpg_pg_replication_lag) > {_BEHIND_SECONDS})",
            after="5m",
            severity="warning",
            summary="A server of the database does not follow: {{ $labels.instance }}",
            description="It cannot take over without a loss; the log is kept for it and fills the disk.",
        ),
    ]


def _alert(name: str, expr: str, *, after: str, severity: str, summary: str, description: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expr,
        "for": after,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": description, "runbook_url": f"{_RUNBOOKS}/{name}.md"},
    }
