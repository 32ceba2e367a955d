"""Who is told of a platform's alerts, by what its stack says, and where Prometheus may go to tell them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import yaml

from tests.support.network import Network, Pod
from tests.support.reachability import pod
from tests.support.recording_monitor import Graph
from tests.support.stacks import ROOT, STACKS

INSTALLED = {
    "app.kubernetes.io/name": "alertmanager",
    "app.kubernetes.io/instance": "kube-prometheus-stack-alertmanager",
}


def deployed(**added: Any) -> Graph:
    return replace(STACKS["dev"], added=added).run()


def configuration(graph: Graph) -> dict[str, Any]:
    (config,) = [item for item in graph.of_kind("ConfigMap") if item.name == "prometheus-config"]
    return yaml.safe_load(config.manifest["data"]["prometheus.yaml"])


def targets(graph: Graph) -> list[str]:
    (alertmanagers,) = configuration(graph)["alerting"]["alertmanagers"]
    return alertmanagers["static_configs"][0]["targets"]


def lets(graph: Graph, client: str, namespace: str, labels: dict[str, str], port: int) -> bool:
    home, own = pod(graph, client)
    server = Pod(namespace=namespace, labels=labels)
    return Network(graph).lets(Pod(namespace=home, labels=own), server, port)


def test_nobody_is_told_when_a_stack_says_nothing(graph: Graph) -> None:
    config = configuration(graph)
    assert "alerting" not in config
    assert "external_labels" not in config["global"]
    assert not [item for item in graph.of_kind("NetworkPolicy") if item.name == "prometheus-alerts"]


def test_example_of_the_documentation_is_taken_as_the_page_says() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("## Alerts: where they are seen and who is told\n")[2].partition("\n## ")[0]
    example = yaml.safe_load(section.partition("```yaml\n")[2].partition("```")[0])
    graph = deployed(monitoring=example["mlplatform:monitoring"])
    assert targets(graph) == ["alertmanager-operated.watch:9093"]
    _, labels = pod(graph, "prometheus")
    for name in ("app.kubernetes.io/name", "app.kubernetes.io/instance"):
        assert f"`{name}: {labels[name]}`" in section


def test_named_alertmanager_is_told_from_prometheus_alone_when_policies_are_enforced() -> None:
    graph = deployed(monitoring={"alertmanagers": ["alertmanager-operated.watch:9093"]})
    assert targets(graph) == ["alertmanager-operated.watch:9093"]
    labels = {"namespace": "free-deep-research", "cluster": "dev", "stack": "dev"}
    assert configuration(graph)["global"]["external_labels"] == labels
    assert lets(graph, "prometheus", "watch", {"any": "pod"}, 9093)
    assert not lets(graph, "prometheus", "watch", {"any": "pod"}, 9094)
    assert not lets(graph, "prometheus", "elsewhere", {"any": "pod"}, 9093)
    assert not lets(graph, "api", "watch", {"any": "pod"}, 9093)


def test_alertmanager_that_the_stack_installs_is_told_when_no_other_is_named() -> None:
    graph = deployed(prerequisites={"prometheusStack": "install"})
    assert targets(graph) == ["kube-prometheus-stack-alertmanager.monitoring.svc:9093"]
    assert lets(graph, "prometheus", "monitoring", INSTALLED, 9093)
    assert not lets(graph, "prometheus", "monitoring", {"any": "pod"}, 9093)


def test_only_the_named_one_is_told_when_the_stack_installs_another() -> None:
    named = {"alertmanagers": ["10.0.0.7:9093"]}
    graph = deployed(prerequisites={"prometheusStack": "install"}, monitoring=named)
    assert targets(graph) == ["10.0.0.7:9093"]
    assert not lets(graph, "prometheus", "monitoring", INSTALLED, 9093)
