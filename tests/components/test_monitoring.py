"""Prometheus: that it may read what it measures, and that its volume never fills."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from components.monitoring import Monitoring
from ml.contracts import MEASURED_JOBS
from tests.support import pods
from tests.support.catalogue import declare_one
from tests.support.recording_monitor import Graph


@pytest.fixture(scope="module")
def graph() -> Graph:
    return declare_one(Monitoring, instance="prometheus")


def test_server_has_no_right_to_the_cluster_when_it_runs(graph: Graph) -> None:
    assert not graph.of_kind("Role")
    spec = pods.template_of(graph.object("StatefulSet", "prometheus"))["spec"]
    assert spec["automountServiceAccountToken"] is False


def test_samples_stay_within_the_volume_when_there_are_many(graph: Graph) -> None:
    server = pods.containers_of(graph.object("StatefulSet", "prometheus"))["server"]
    assert "--storage.tsdb.retention.size=1638MB" in server["args"]
    assert "--storage.tsdb.retention.time=3d" in server["args"]


def test_every_port_that_is_read_is_open_from_prometheus_alone_when_traffic_is_denied(graph: Graph) -> None:
    (config,) = [item for item in graph.of_kind("ConfigMap") if item.name == "prometheus-config"]
    jobs = yaml.safe_load(config.manifest["data"]["prometheus.yaml"])["scrape_configs"]
    inside = {
        query["port"] for job in jobs for query in job.get("dns_sd_configs", []) if "istio" not in query["names"][0]
    }
    (offered,) = graph.object("NetworkPolicy", "prometheus-scraped").manifest["spec"]["ingress"]
    selector = graph.object("StatefulSet", "prometheus").manifest["spec"]["selector"]["matchLabels"]
    assert offered["from"] == [{"podSelector": {"matchLabels": selector}}]
    assert {port["port"] for port in offered["ports"]} == inside
    (sent,) = graph.object("NetworkPolicy", "prometheus-scrapes-gateway").manifest["spec"]["egress"]
    assert [port["port"] for port in sent["ports"]] == [15090]


def test_everything_that_the_platform_measures_is_asked_when_configured(graph: Graph) -> None:
    (config,) = [item for item in graph.of_kind("ConfigMap") if item.name == "prometheus-config"]
    jobs = {
        job["job_name"]: job for job in yaml.safe_load(config.manifest["data"]["prometheus.yaml"])["scrape_configs"]
    }
    assert set(jobs) == {*MEASURED_JOBS, "prometheus"}
    with_token = {name: job["authorization"] for name, job in jobs.items() if "authorization" in job}
    file = "/etc/prometheus-tokens/object-store/token"
    assert with_token == {"object-store": {"type": "Bearer", "credentials_file": file}}
    template = pods.template_of(graph.object("StatefulSet", "prometheus"))
    (mount,) = [
        it for it in template["spec"]["containers"][0]["volumeMounts"] if file.startswith(it["mountPath"] + "/")
    ]
    (volume,) = [it for it in template["spec"]["volumes"] if it["name"] == mount["name"]]
    assert volume["secret"]["secretName"] == "object-store-metrics"


def test_pod_is_replaced_when_rules_or_targets_change() -> None:
    def annotations(**changes: Any) -> str:
        graph = declare_one(Monitoring, instance="prometheus", **changes)
        return str(pods.template_of(graph.object("StatefulSet", "prometheus"))["metadata"]["annotations"])

    same = annotations()
    assert same == annotations(storage_gib=3)
    assert len({same, annotations(proxy="istio"), annotations(scrape_interval_seconds=15)}) == 3
