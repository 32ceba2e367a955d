"""Who is told of alerts: what Prometheus is told to do, where it may go for that, and that an alert really arrives."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import yaml

from components import _alerting
from components._alerting import Alerting
from components._network import Destination
from components.monitoring import Monitoring
from tests.support import schemas
from tests.support.catalogue import declare_one
from tests.support.prometheus import binaries, running, running_alertmanager
from tests.support.recording_monitor import Graph
from tests.support.web_server import QuietHandler, served

LABELS = {"namespace": "research", "cluster": "shared", "stack": "dev"}
SOON = "10s"
"""Longer than Prometheus takes to find out whom to tell; what fires before is sent again after a minute only."""
ARRIVAL_SECONDS = 180.0


def told(*addresses: str) -> Alerting:
    return Alerting(
        alertmanagers=tuple(_alerting.named(address, home="research") for address in addresses), labels=LABELS
    )


def declared(alerting: Alerting | None, **changes: Any) -> Graph:
    return declare_one(Monitoring, instance="prometheus", alerting=alerting, **changes)


def written(graph: Graph, role: str) -> dict[str, Any]:
    (config,) = [item for item in graph.of_kind("ConfigMap") if item.name == f"prometheus-{role}"]
    (text,) = config.manifest["data"].values()
    return yaml.safe_load(text)


def policies(graph: Graph) -> dict[str, dict[str, Any]]:
    return {item.name: item.manifest["spec"] for item in graph.of_kind("NetworkPolicy")}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("alertmanager-operated.monitoring:9093", Destination(port=9093, namespace="monitoring")),
        ("alertmanager-operated.monitoring.svc:9093", Destination(port=9093, namespace="monitoring")),
        ("alertmanager-operated.monitoring.svc.cluster.local:80", Destination(port=80, namespace="monitoring")),
        ("alertmanager-0.alertmanager-operated.watch.svc:9093", Destination(port=9093, namespace="watch")),
        ("alertmanager:9093", Destination(port=9093, namespace="research")),
        ("10.0.0.7:9093", Destination(port=9093, cidr="10.0.0.7/32")),
        ("alerts.example.org:9093", Destination(port=9093)),
        ("svc.cluster.local:9093", Destination(port=9093)),
    ],
)
def test_as_much_of_an_address_as_is_known_limits_where_prometheus_may_go(address: str, expected: Destination) -> None:
    found = _alerting.named(address, home="research")
    assert (found.address, found.destination) == (address, expected)


def test_alerts_go_to_every_address_and_say_whose_they_are_when_there_are_some() -> None:
    config = written(declared(told("a.monitoring:9093", "10.0.0.7:9094")), "config")
    assert config["alerting"] == {
        "alertmanagers": [{"static_configs": [{"targets": ["a.monitoring:9093", "10.0.0.7:9094"]}]}]
    }
    assert config["global"]["external_labels"] == LABELS


def test_nothing_is_sent_opened_or_added_when_nobody_is_told() -> None:
    graph = declared(None)
    config = written(graph, "config")
    assert "alerting" not in config
    assert "external_labels" not in config["global"]
    assert "prometheus-alerts" not in policies(graph)
    also = declared(told("a.monitoring:9093"))
    assert set(policies(also)) - set(policies(graph)) == {"prometheus-alerts"}


def test_prometheus_alone_may_go_to_exactly_those_ports_when_traffic_is_denied() -> None:
    addresses = ("a-0.a.monitoring.svc:9093", "a-1.a.monitoring.svc:9093", "10.0.0.7:9094", "alerts.example.org:443")
    graph = declared(told(*addresses))
    policy = policies(graph)["prometheus-alerts"]
    server = graph.object("StatefulSet", "prometheus").manifest["spec"]["selector"]
    assert policy["podSelector"] == server
    assert policy["policyTypes"] == ["Egress"]
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert policy["egress"] == [
        {"to": [{"podSelector": {}, **monitoring}], "ports": [{"port": 9093, "protocol": "TCP"}]},
        {"to": [{"ipBlock": {"cidr": "10.0.0.7/32"}}], "ports": [{"port": 9094, "protocol": "TCP"}]},
        {"ports": [{"port": 443, "protocol": "TCP"}]},
    ]
    (whole,) = [item.manifest for item in graph.of_kind("NetworkPolicy") if item.name == "prometheus-alerts"]
    for version in schemas.KUBERNETES_VERSIONS:
        schemas.check_kubernetes(whole, version)


def test_pod_is_replaced_when_somebody_else_is_told() -> None:
    def annotations(alerting: Alerting | None) -> dict[str, str]:
        stateful = declared(alerting).object("StatefulSet", "prometheus")
        return stateful.manifest["spec"]["template"]["metadata"]["annotations"]

    found = [annotations(alerting) for alerting in (None, told("a.b:1"), told("a.b:2"), told("a.b:1"))]
    assert found[1] == found[3]
    assert len({str(item) for item in found}) == 3


@pytest.mark.slow
def test_prometheus_accepts_the_configuration_when_somebody_is_told(tmp_path: Path) -> None:
    graph = declared(told("a.monitoring:9093", "10.0.0.7:9094", "alerts.example.org:443"), object_store_token=None)
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(written(graph, "config")))
    command = [str(binaries() / "promtool"), "check", "config", "prometheus.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Inbox:
    """What arrived where an Alertmanager would stand."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.paths: set[str] = set()
        self._arrived = threading.Condition()

    def take(self, path: str, alerts: list[dict[str, Any]]) -> None:
        with self._arrived:
            self.paths.add(path)
            self.alerts += alerts
            self._arrived.notify_all()

    def wait_for(self, name: str) -> dict[str, Any]:
        """Return the first alert of a name; fails if none comes."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: bool(self._called(name)), ARRIVAL_SECONDS), self.alerts
            return self._called(name)[0]

    def _called(self, name: str) -> list[dict[str, Any]]:
        return [alert for alert in self.alerts if alert["labels"]["alertname"] == name]


@contextmanager
def listening() -> Generator[tuple[str, Inbox]]:
    """Stand where an Alertmanager is, or whom one tells; yield the address and what comes in."""
    inbox = Inbox()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body: Any = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            # Prometheus sends a list, an Alertmanager an object that holds one.
            inbox.take(self.path, cast("list[dict[str, Any]]", body if isinstance(body, list) else body["alerts"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with served(Handler) as server:
        yield f"127.0.0.1:{server.server_address[1]}", inbox


@contextmanager
def alerting_platform(folder: Path, address: str) -> Generator[str]:
    """Run what a stack gives to Prometheus, which is to tell this address; yield the address of Prometheus."""
    graph = declared(told(address), object_store_token=None, scrape_interval_seconds=1)
    config, rules = written(graph, "config"), written(graph, "rules")
    # Nothing runs here that could be measured, so this one is due; it is only made not to wait its minutes.
    (missing,) = [
        rule for group in rules["groups"] for rule in group["rules"] if rule.get("alert") == "GatewayMetricsMissing"
    ]
    missing["for"] = SOON
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules, width=1000))
    config["rule_files"] = [str(folder / "rules.yaml")]
    with running(folder, yaml.safe_dump(config, width=1000)) as url:
        yield url


@pytest.mark.slow
def test_firing_alert_arrives_with_its_origin_when_an_alertmanager_is_named(tmp_path: Path) -> None:
    with listening() as (address, inbox), alerting_platform(tmp_path, address) as url:
        alert = inbox.wait_for("GatewayMetricsMissing")
        seen = httpx.get(f"{url}/api/v1/alerts", trust_env=False).json()["data"]["alerts"]
    assert ("GatewayMetricsMissing", "firing") in {(item["labels"]["alertname"], item["state"]) for item in seen}
    assert inbox.paths == {"/api/v2/alerts"}
    assert alert["labels"] == {"alertname": "GatewayMetricsMissing", "severity": "critical", **LABELS}
    assert alert["annotations"]["summary"] == "No gateway is being measured"
    assert alert["annotations"]["runbook_url"] == "docs/runbooks/GatewayMetricsMissing.md"


@pytest.mark.slow
def test_alertmanager_tells_people_of_the_platforms_alerts_when_it_routes_by_namespace(tmp_path: Path) -> None:
    """The route is the one that Prometheus's operator makes of a receiver declared in the platform's namespace."""
    with listening() as (people, inbox):
        route = {"receiver": "people", "matchers": ['namespace="research"'], "group_wait": "0s", "group_interval": "1s"}
        routing = {
            "route": {"receiver": "null", "routes": [route]},
            "receivers": [{"name": "null"}, {"name": "people", "webhook_configs": [{"url": f"http://{people}/told"}]}],
        }
        with running_alertmanager(tmp_path, yaml.safe_dump(routing)) as alertmanager:
            others = [{"labels": {"alertname": "SomebodyElses", "namespace": "elsewhere"}}]
            httpx.post(f"{alertmanager}/api/v2/alerts", json=others, trust_env=False).raise_for_status()
            with alerting_platform(tmp_path, alertmanager.removeprefix("http://")):
                alert = inbox.wait_for("GatewayMetricsMissing")
    assert inbox.paths == {"/told"}
    assert (alert["status"], alert["labels"]["stack"]) == ("firing", "dev")
    assert {item["labels"]["namespace"] for item in inbox.alerts} == {"research"}
