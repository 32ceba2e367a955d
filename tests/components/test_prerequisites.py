"""Charts of other projects: pinned, each in its namespace, with the values without which they fail in silence."""

from __future__ import annotations

import re
from typing import Any

import pytest

from components.prerequisites import GatewayInstallation, Prerequisites
from ml.contracts.prerequisites import PREREQUISITES
from tests.support.catalogue import declare_one
from tests.support.recording_monitor import Graph, Recorded, Secret, reveal

RELEASE = "kubernetes:helm.sh/v3:Release"


@pytest.fixture
def graph() -> Graph:
    return declare_one(Prerequisites)


def release(graph: Graph, name: str) -> Recorded:
    (found,) = [item for item in graph.of_type(RELEASE) if item.inputs["name"] == name]
    return found


def values(graph: Graph, name: str) -> dict[str, Any]:
    return reveal(dict(release(graph, name).inputs))["values"]


def test_every_chart_is_pinned_and_taken_from_its_project_when_declared(graph: Graph) -> None:
    releases = graph.of_type(RELEASE)
    assert len(releases) == sum(known.installable for known in PREREQUISITES.values()) + 2
    for item in releases:
        assert re.fullmatch(r"v?\d+\.\d+\.\d+", str(item.inputs["version"])), item.name
        assert str(reveal(dict(item.inputs))["repositoryOpts"]["repo"]).startswith("https://")
        assert item.inputs["atomic"] is True


def test_each_has_a_namespace_of_its_own_when_declared(graph: Graph) -> None:
    namespaces = {str(item.inputs["name"]): str(item.inputs["namespace"]) for item in graph.of_type(RELEASE)}
    mesh = {name for name, namespace in namespaces.items() if namespace == "istio-system"}
    assert mesh == {"istio-base", "istiod", "istio-ingressgateway"}
    # The operator finds its plugin beside itself only.
    assert namespaces.pop("plugin-barman-cloud") == namespaces["cloudnative-pg"]
    others = [namespace for name, namespace in namespaces.items() if name not in mesh]
    assert len(set(others)) == len(others)
    assert all(item.inputs["createNamespace"] is True for item in graph.of_type(RELEASE))


def test_parts_of_the_mesh_come_one_after_the_other_when_declared(graph: Graph) -> None:
    assert release(graph, "istio-base").urn in release(graph, "istiod").depends_on
    assert release(graph, "istiod").urn in release(graph, "istio-ingressgateway").depends_on


@pytest.mark.parametrize(
    ("port", "kind"), [(30_080, "NodePort"), (None, "LoadBalancer")], ids=["own load balancer", "the cluster's"]
)
def test_gateway_is_the_one_that_the_platform_selects_when_installed(port: int | None, kind: str) -> None:
    installation = GatewayInstallation(
        service="way-in", namespace="mesh", selector={"istio": "ingressgateway", "team": "ml"}, node_port=port
    )
    graph = declare_one(Prerequisites, gateway=installation)
    given = values(graph, "way-in")
    assert release(graph, "way-in").inputs["namespace"] == "mesh"
    assert given["labels"] == {"istio": "ingressgateway", "team": "ml"}
    assert given["service"]["type"] == kind
    ports = {item["port"]: item.get("nodePort") for item in given["service"]["ports"]}
    assert ports == {15021: None, 80: port, 443: None}


def test_monitors_of_every_release_are_seen_when_the_stack_is_installed(graph: Graph) -> None:
    spec = values(graph, "kube-prometheus-stack")["prometheus"]["prometheusSpec"]
    kinds = ("serviceMonitor", "podMonitor", "rule", "probe", "scrapeConfig")
    assert spec == {f"{kind}SelectorNilUsesHelmValues": False for kind in kinds}


def test_grafana_has_no_password_that_everybody_knows_when_installed(graph: Graph) -> None:
    given = release(graph, "kube-prometheus-stack").inputs["values"]
    assert isinstance(given, Secret) or isinstance(given["grafana"], Secret | dict)
    grafana = values(graph, "kube-prometheus-stack")["grafana"]
    assert len(grafana["adminPassword"]) == 64
    assert grafana["sidecar"]["dashboards"]["searchNamespace"] == "ALL"
    assert grafana["grafana.ini"]["server"]["root_url"] == "https://grafana.example.org"


def test_monitors_are_declared_only_where_their_definitions_come_first_when_installed(graph: Graph) -> None:
    stack = release(graph, "kube-prometheus-stack").urn
    for name in ("cert-manager", "keda", "cloudnative-pg", "gpu-operator", "external-dns"):
        assert stack in release(graph, name).depends_on
    assert values(graph, "cert-manager")["prometheus"]["servicemonitor"] == {"enabled": True}
    alone = declare_one(Prerequisites, wanted=("certManager",))
    assert values(alone, "cert-manager")["prometheus"]["servicemonitor"] == {"enabled": False}
    assert not release(alone, "cert-manager").depends_on


def test_autoscalers_operator_reads_no_secrets_of_others_when_installed(graph: Graph) -> None:
    restricted = values(graph, "keda")["permissions"]
    assert restricted == {part: {"restrict": {"secret": True}} for part in ("operator", "metricServer")}


def test_plugin_comes_after_what_it_uses_when_installed(graph: Graph) -> None:
    plugin = release(graph, "plugin-barman-cloud")
    assert {release(graph, name).urn for name in ("cert-manager", "cloudnative-pg")} <= set(plugin.depends_on)
    # Somebody else's certificate manager and operator are there already.
    alone = declare_one(Prerequisites, wanted=("barmanCloud",))
    assert not release(alone, "plugin-barman-cloud").depends_on


@pytest.mark.parametrize("brought", [True, False])
def test_gpu_parts_are_not_installed_twice_when_the_nodes_image_has_them(brought: bool) -> None:
    given = values(declare_one(Prerequisites, nodes_bring_gpu_parts=brought), "gpu-operator")
    assert {part: given[part]["enabled"] for part in ("driver", "toolkit", "devicePlugin")} == dict.fromkeys(
        ("driver", "toolkit", "devicePlugin"), not brought
    )
    assert given["dcgmExporter"]["serviceMonitor"]["honorLabels"] is True


def test_names_of_others_are_left_alone_when_external_dns_is_installed(graph: Graph) -> None:
    given = values(graph, "external-dns")
    assert given["domainFilters"] == ["example.org"]
    assert given["policy"] == "upsert-only"
    assert given["txtOwnerId"] == "example"


def test_certificates_outlive_the_release_when_it_is_removed(graph: Graph) -> None:
    assert values(graph, "cert-manager")["crds"] == {"enabled": True, "keep": True}
