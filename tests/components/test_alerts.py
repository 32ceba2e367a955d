"""Rules and scraping against promtool: every alert has a firing and a silent case, and a runbook."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import _alerts, _scraping
from components._scaling import MOST_SERIES, WANTED_SERIES
from components._scraping import GatewayProxy
from ml.contracts import GATEWAY_LATENCY_SERIES, GATEWAY_REQUESTS_SERIES
from ml.contracts.abtest import LATENCY_EDGES_MILLIS
from ml.events.types import FINAL_PHASES
from tests.support.prometheus import binaries

RUNBOOKS = Path(__file__).resolve().parents[2] / "docs" / "runbooks"
GROUPS: list[dict[str, Any]] = _alerts.rule_groups("envoy", 5, database_servers=3)["groups"]
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule
}
LABELS = 'instance="10.0.0.1",model="m",slot="stable"'
ENVOY = 'instance="10.0.0.1",job="gateway",model="m",slot="stable"'
REQUESTS = f'envoy_cluster_upstream_rq{{{ENVOY},code_class="%s"}}'
TIMES = f'envoy_cluster_upstream_rq_time_bucket{{{ENVOY},le="%s"}}'
TRACKING, GATEWAY, CONTROLLER = (
    f'up{{job="{job}",instance="x"}}' for job in ("tracking-server", "gateway", "controller")
)
EXPERIMENTS = 'mlplatform_controller_experiments{phase="%s"}'
LAST = "mlplatform_controller_last_success_timestamp_seconds"
WANTED, OTHER_WANTED = (f'{WANTED_SERIES}{{measure="requests",scaler="{name}"}}' for name in ("api", "other"))
MOST, OTHER_MOST = (f'{MOST_SERIES}{{scaler="{name}"}}' for name in ("api", "other"))
BEHIND = 'mlplatform_api_projection_lag_events{instance="10.0.0.1",projection="experiments"}'
RUNS = 'mlplatform_pipeline_runs_total{instance="10.0.0.1",pipeline="train-models",result="%s"}'
OTHER_RUNS = RUNS.replace("0.1", "0.2")
SUCCEEDED, FAILED = RUNS % "succeeded", RUNS % "failed"
TAKEN, BACKUP_FAILED = (
    f'barman_cloud_cloudnative_pg_io_last_{word}_backup_timestamp{{instance="10.0.0.1"}}'
    for word in ("available", "failed")
)
ARCHIVED, NOT_ARCHIVED = (
    f'cnpg_pg_stat_archiver_last_{word}_time{{instance="10.0.0.1"}}' for word in ("archived", "failed")
)
SERVERS = [f'up{{instance="10.0.0.{number}",job="metadata-db-cluster"}}' for number in (1, 2, 3)]
FOLLOWS, RECEIVES, LAG = (
    f'cnpg_pg_replication_{name}{{instance="10.0.0.%s"}}' for name in ("in_recovery", "is_wal_receiver_up", "lag")
)

CASES: list[tuple[str, str, bool, dict[str, str]]] = [
    ("ModelLatencyHigh", "a tenth is slower than the objective", True,
     {REQUESTS % "2xx": "0+600x30", TIMES % "100": "0+540x30", TIMES % "250": "0+600x30", TIMES % "+Inf": "0+600x30"}),
    ("ModelLatencyHigh", "four of a hundred are", False,
     {REQUESTS % "2xx": "0+600x30", TIMES % "100": "0+576x30", TIMES % "250": "0+600x30", TIMES % "+Inf": "0+600x30"}),
    ("ModelLatencyHigh", "hardly anybody asks", False,
     {REQUESTS % "2xx": "0+1x30", TIMES % "100": "0+0x30", TIMES % "250": "0+1x30", TIMES % "+Inf": "0+1x30"}),
    ("PredictionErrorRateHigh", "a tenth fails", True, {REQUESTS % "2xx": "0+540x30", REQUESTS % "5xx": "0+60x30"}),
    ("PredictionErrorRateHigh", "four of a hundred fail", False,
     {REQUESTS % "2xx": "0+576x30", REQUESTS % "5xx": "0+24x30"}),
    ("PredictionErrorRateHigh", "callers err", False, {REQUESTS % "2xx": "0+300x30", REQUESTS % "4xx": "0+300x30"}),
    ("ModelRegistryUnavailable", "its pod does not answer", True, {TRACKING: "1x10 0x20"}),
    ("ModelRegistryUnavailable", "it has no pod", True, {GATEWAY: "1x30"}),
    ("ModelRegistryUnavailable", "one of two pods is away", False,
     {TRACKING: "0x30", 'up{job="tracking-server",instance="y"}': "1x30"}),
    ("GatewayMetricsMissing", "the gateway does not answer", True, {GATEWAY: "1x10 0x20"}),
    ("GatewayMetricsMissing", "it answers", False, {GATEWAY: "1x30"}),
    ("ExperimentStuck", "data stay away", True, {EXPERIMENTS % "HoldNoData": "1x30"}),
    ("ExperimentStuck", "a promotion takes its minutes", False, {EXPERIMENTS % "Promoting": "0x15 1x10 0x5"}),
    ("ExperimentStuck", "it runs", False, {EXPERIMENTS % "Running": "2x30"}),
    ("ExperimentControllerStalled", "an active experiment is not looked after", True,
     {CONTROLLER: "1x30", LAST: "600x30", EXPERIMENTS % "Running": "1x30"}),
    ("ExperimentControllerStalled", "no controller answers", True, {CONTROLLER: "1x10 0x20"}),
    ("ExperimentControllerStalled", "there is nothing to do", False,
     {CONTROLLER: "1x30", LAST: "600x30", EXPERIMENTS % "Promoted": "3x30"}),
    ("ExperimentControllerStalled", "it works", False,
     {CONTROLLER: "1x30", LAST: "0+60x30", EXPERIMENTS % "Running": "1x30"}),
    ("ExperimentViewsStandStill", "the same event is refused again and again", True, {BEHIND: "0x10 3x20"}),
    ("ExperimentViewsStandStill", "there is much to catch up with", False, {BEHIND: "0x10 900x3 0x17"}),
    ("ExperimentViewsStandStill", "one of the two that tell saw it caught up", False,
     {BEHIND: "0x10 3x20", BEHIND.replace("0.1", "0.2"): "0x10 3 0 3 0 3 0 3 0 3 0 3 0 3 0 3 0 3 0 3 0"}),
    ("PipelineFailureRateHigh", "one of ten runs fails", True,
     {SUCCEEDED: "50x5 59x25", FAILED: "7x5 8x25"}),
    ("PipelineFailureRateHigh", "the only run fails, the first there ever was", True,
     {SUCCEEDED: "0x30", FAILED: "0x10 1x20"}),
    ("PipelineFailureRateHigh", "one of forty fails", False, {SUCCEEDED: "50x5 89x25", FAILED: "7x5 8x25"}),
    ("PipelineFailureRateHigh", "runs failed longer ago than a day", False, {SUCCEEDED: "50x30", FAILED: "7x30"}),
    ("PipelineFailureRateHigh", "another controller takes over", False,
     {FAILED: "7x10 _x20", SUCCEEDED: "50x10 _x20",
      OTHER_RUNS % "failed": "_x12 7x18", OTHER_RUNS % "succeeded": "_x12 50x18"}),
    ("AutoscalerAtMaximum", "the load wants more than there may be", True, {WANTED: "12x30", MOST: "10x30"}),
    ("AutoscalerAtMaximum", "there is room", False, {WANTED: "9x30", MOST: "10x30"}),
    ("AutoscalerAtMaximum", "a peak of five minutes is over", False, {WANTED: "5x10 12x5 5x15", MOST: "10x30"}),
    ("AutoscalerAtMaximum", "another one is at its own maximum", True,
     {WANTED: "5x30", MOST: "10x30", OTHER_WANTED: "3x30", OTHER_MOST: "3x30"}),
    ("AutoscalerBlind", "its load is not known", True, {MOST: "10x30"}),
    ("AutoscalerBlind", "its load is known", False, {WANTED: "5x30", MOST: "10x30"}),
    ("AutoscalerBlind", "its load was unknown for three minutes", False, {WANTED: "5x20 _x3 5x7", MOST: "10x30"}),
    ("AutoscalerBlind", "KEDA reports errors", True,
     {WANTED: "5x30", MOST: "10x30", 'keda_scaled_object_errors_total{scaledObject="api"}': "0+1x30"}),
    ("AutoscalerBlind", "KEDA reported an error an hour ago", False,
     {WANTED: "5x30", MOST: "10x30", 'keda_scaled_object_errors_total{scaledObject="api"}': "7x30"}),
    ("AutoscalerBlind", "KEDA does not answer", True,
     {WANTED: "5x30", MOST: "10x30", 'up{job="keda",instance="x"}': "1x10 0x20"}),
    ("DatabaseBackupMissing", "the last one is of the day before yesterday", True,
     {TAKEN: "-100000x30", BACKUP_FAILED: "-900000x30"}),
    ("DatabaseBackupMissing", "today's failed", True, {TAKEN: "-50000x30", BACKUP_FAILED: "-100x30"}),
    ("DatabaseBackupMissing", "yesterday's failed and today's did not", False,
     {TAKEN: "-100x30", BACKUP_FAILED: "-50000x30"}),
    ("DatabaseBackupMissing", "a server does not know of it yet", False,
     {TAKEN: "-100x30", BACKUP_FAILED: "-900000x30", TAKEN.replace("0.1", "0.2"): "-90000x30"}),
    ("DatabaseArchivingFails", "the last try failed", True, {ARCHIVED: "100x30", NOT_ARCHIVED: "160+60x30"}),
    ("DatabaseArchivingFails", "it worked after a failure", False, {ARCHIVED: "160+60x30", NOT_ARCHIVED: "100x30"}),
    ("DatabaseArchivingFails", "it never failed", False, {ARCHIVED: "100x30", NOT_ARCHIVED: "-1x30"}),
    ("DatabaseServerMissing", "one of three does not answer", True,
     {SERVERS[0]: "1x30", SERVERS[1]: "1x30", SERVERS[2]: "1x10 0x20"}),
    ("DatabaseServerMissing", "there is none", True, {GATEWAY: "1x30"}),
    ("DatabaseServerMissing", "all answer", False, dict.fromkeys(SERVERS, "1x30")),
    ("DatabaseServerMissing", "one was replaced within five minutes", False,
     {SERVERS[0]: "1x30", SERVERS[1]: "1x30", SERVERS[2]: "1x20 0x5 1x5"}),
    ("DatabaseReplicaBehind", "it is two minutes behind", True, {LAG % 2: "120x30"}),
    ("DatabaseReplicaBehind", "it receives nothing", True,
     {FOLLOWS % 2: "1x30", RECEIVES % 2: "0x30", LAG % 2: "0x30"}),
    ("DatabaseReplicaBehind", "it follows", False, {FOLLOWS % 2: "1x30", RECEIVES % 2: "1x30", LAG % 2: "1x30"}),
    ("DatabaseReplicaBehind", "it is the one that writes", False,
     {FOLLOWS % 1: "0x30", RECEIVES % 1: "0x30", LAG % 1: "0x30"}),
]  # fmt: skip
"""Alert, situation, whether it fires after half an hour, and series with a sample per minute."""


def promtool(*arguments: str, cwd: Path) -> str:
    """Run promtool and return what it says; fail with what it found wrong."""
    command = [str(binaries() / "promtool"), *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_rules(folder: Path, proxy: GatewayProxy = "envoy") -> None:
    (folder / "rules.yaml").write_text(yaml.safe_dump(_alerts.rule_groups(proxy, 5, database_servers=3), width=1000))


def run_case(folder: Path, test: dict[str, Any], proxy: GatewayProxy = "envoy") -> None:
    write_rules(folder, proxy)
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [{"interval": "1m", **test}]}
    (folder / "test.yaml").write_text(yaml.safe_dump(document, width=1000))
    promtool("test", "rules", "test.yaml", cwd=folder)


def series(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"series": name, "values": samples} for name, samples in values.items()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alert", "fires", "values"), [(c[0], c[2], c[3]) for c in CASES], ids=[f"{c[0]}: {c[1]}" for c in CASES]
)
def test_alert_speaks_up_only_when_it_should(tmp_path: Path, alert: str, fires: bool, values: dict[str, str]) -> None:
    count = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)'
    expected = {"expr": count, "eval_time": "30m", "exp_samples": [{"labels": "{}", "value": int(fires)}]}
    run_case(tmp_path, {"input_series": series(values), "promql_expr_test": [expected]})


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_alert_has_cases_and_a_runbook_when_it_exists(alert: str) -> None:
    assert {fires for name, _, fires, _ in CASES if name == alert} == {True, False}
    annotations = ALERTS[alert]["annotations"]
    assert annotations["runbook_url"] == f"docs/runbooks/{alert}.md"
    text = (RUNBOOKS / f"{alert}.md").read_text(encoding="utf-8")
    for heading in ("## What it means", "## What users notice", "## What to do", "## When it is over"):
        assert heading in text
    assert ALERTS[alert]["labels"]["severity"] in ("warning", "critical")


def test_runbooks_are_about_alerts_that_exist_when_listed() -> None:
    assert {file.stem for file in RUNBOOKS.glob("*.md")} == set(ALERTS)


def test_final_phases_are_the_ones_that_the_alert_leaves_out_when_compared() -> None:
    (phases,) = re.findall(r'phase!~"([^"]+)"', ALERTS["ExperimentControllerStalled"]["expr"])
    assert set(phases.split("|")) == FINAL_PHASES


@pytest.mark.slow
def test_each_gateway_keeps_its_own_counters_when_rules_are_evaluated(tmp_path: Path) -> None:
    second = REQUESTS.replace("10.0.0.1", "10.0.0.2")
    values = {
        REQUESTS % "2xx": "0+10x10",
        second % "2xx": "0+1x10",
        'envoy_cluster_upstream_rq{instance="10.0.0.1",cluster_name="xds-grpc",code_class="2xx"}': "0+7x10",
        'envoy_cluster_upstream_rq{instance="10.0.0.1",model="m",slot="stable",response_code="200"}': "0+10x10",
    }
    samples = [
        {"labels": f'{GATEWAY_REQUESTS_SERIES}{{code_class="2xx",{LABELS}}}', "value": 100},
        {"labels": f'{GATEWAY_REQUESTS_SERIES}{{code_class="2xx",{LABELS.replace("0.1", "0.2")}}}', "value": 10},
    ]
    expected = {"expr": GATEWAY_REQUESTS_SERIES, "eval_time": "10m", "exp_samples": samples}
    run_case(tmp_path, {"input_series": series(values), "promql_expr_test": [expected]})


@pytest.mark.slow
def test_counters_look_the_same_when_the_gateway_runs_istios_proxy(tmp_path: Path) -> None:
    values = {
        f'istio_requests_total{{{ENVOY},code_class="2xx",response_code="200"}}': "0+3x10",
        f'istio_requests_total{{{ENVOY},code_class="2xx",response_code="201"}}': "0+2x10",
        f'istio_request_duration_milliseconds_bucket{{{ENVOY},response_code="200",le="100.0"}}': "0+3x10",
        f'istio_request_duration_milliseconds_bucket{{{ENVOY},response_code="200",le="+Inf"}}': "0+5x10",
    }
    requests = {"labels": f'{GATEWAY_REQUESTS_SERIES}{{code_class="2xx",{LABELS}}}', "value": 50}
    latency = [
        {"labels": f'{GATEWAY_LATENCY_SERIES}{{{LABELS},le="{edge}"}}', "value": value}
        for edge, value in (("100", 30), ("+Inf", 50))
    ]
    expected = [
        {"expr": GATEWAY_REQUESTS_SERIES, "eval_time": "10m", "exp_samples": [requests]},
        {"expr": GATEWAY_LATENCY_SERIES, "eval_time": "10m", "exp_samples": latency},
    ]
    run_case(tmp_path, {"input_series": series(values), "promql_expr_test": expected}, "istio")


@pytest.mark.slow
@pytest.mark.parametrize("proxy", ["envoy", "istio"])
def test_prometheus_accepts_configuration_and_rules_when_checked(tmp_path: Path, proxy: GatewayProxy) -> None:
    write_rules(tmp_path, proxy)
    config = _scraping.configuration(
        "prometheus",
        namespace="research",
        gateway_namespace="istio-system",
        proxy=proxy,
        interval_seconds=5,
        rules_folder=str(tmp_path),
        tokens_folder=str(tmp_path),
    )
    (tmp_path / "object-store").mkdir()
    (tmp_path / "object-store" / "token").write_text("a.b.c")
    config["rule_files"] = [str(tmp_path / "rules.yaml")]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config, width=1000))
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml", cwd=tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("outbound|8501|candidate-a|some-model.research.svc.cluster.local", ("candidate-a", "some-model")),
        ("outbound|8501||some-model.research.svc.cluster.local", None),
        ("outbound|8500|stable|some-model.research.svc.cluster.local", None),
        ("outbound|8501|stable|some-model.elsewhere.svc.cluster.local", None),
        ("outbound|8501|stable|some-model.researchXsvc.cluster.local", None),
    ],
)
def test_slot_and_model_are_read_from_a_cluster_when_it_is_a_slot_of_this_platform(
    name: str, expected: tuple[str, str] | None
) -> None:
    config = _scraping.configuration(
        "p",
        namespace="research",
        gateway_namespace="mesh",
        proxy="envoy",
        interval_seconds=5,
        rules_folder="/r",
        tokens_folder="/t",
    )
    rules = config["scrape_configs"][0]["metric_relabel_configs"]
    (pattern,) = {rule["regex"] for rule in rules if rule.get("source_labels") == ["cluster_name"]}
    found = re.fullmatch(pattern, name)
    assert (found.groups() if found else None) == expected


def test_local_gateway_has_every_edge_that_a_guardrail_may_name_when_configured() -> None:
    root = Path(__file__).resolve().parents[2]
    bootstrap = yaml.safe_load((root / "local/mesh/yaml/envoy-bootstrap.yaml").read_text())
    (buckets,) = [entry["buckets"] for entry in bootstrap["stats_config"]["histogram_bucket_settings"]]
    assert set(LATENCY_EDGES_MILLIS) <= set(buckets)
