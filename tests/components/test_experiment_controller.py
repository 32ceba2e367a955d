"""The controller's Deployment and rights. What it does with them is tested in tests/ml/controller."""

from __future__ import annotations

from typing import Any

import pytest

from components.experiment_controller import ExperimentController
from ml.controller.config import load_config
from tests.support import pods
from tests.support.catalogue import declare_one
from tests.support.recording_monitor import Graph


@pytest.fixture(scope="module")
def graph() -> Graph:
    return declare_one(ExperimentController, instance="controller")


def rights(graph: Graph, role: str) -> dict[tuple[str, str], tuple[list[str], list[str]]]:
    """Return verbs and object names by API group and resource."""
    rules: list[dict[str, Any]] = graph.object("Role", role).manifest["rules"]
    return {
        (group, resource): (rule["verbs"], rule.get("resourceNames", []))
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        if "resourceNames" in rule or resource != "leases"
    }


def test_exactly_these_objects_are_declared_when_made(graph: Graph) -> None:
    assert sorted((item.kind, item.name) for item in graph.kubernetes_objects()) == [
        ("Deployment", "controller"),
        ("NetworkPolicy", "controller-api-access"),
        ("NetworkPolicy", "controller-gateway-access"),
        ("NetworkPolicy", "controller-slot-access"),
        ("NetworkPolicy", "controller-slot-offer"),
        ("PodDisruptionBudget", "controller-budget"),
        ("Role", "controller-gateway-role"),
        ("Role", "controller-role"),
        ("RoleBinding", "controller-binding"),
        ("RoleBinding", "controller-gateway-binding"),
        ("ServiceAccount", "controller"),
    ]


def test_controller_may_write_routes_status_and_its_lease_and_nothing_else_when_it_runs(graph: Graph) -> None:
    assert rights(graph, "controller-role") == {
        ("networking.istio.io", "virtualservices"): (["get", "list", "watch", "create", "patch"], []),
        ("mlplatform.dev", "abtests"): (["get", "list", "watch"], []),
        ("mlplatform.dev", "abtests/status"): (["patch"], []),
        ("coordination.k8s.io", "leases"): (["get", "update"], ["experiment-controller"]),
        ("", "pods"): (["get", "list"], []),
        ("batch", "jobs"): (["list"], []),
    }
    assert rights(graph, "controller-gateway-role") == {("", "pods"): (["get", "list"], [])}


def test_roles_are_bound_to_the_controllers_account_when_declared(graph: Graph) -> None:
    places = {"controller-binding": "controller", "controller-gateway-binding": "istio-system"}
    for name, place in places.items():
        binding = graph.object("RoleBinding", name).manifest
        assert binding["metadata"]["namespace"] == place
        account = {"kind": "ServiceAccount", "name": "controller", "namespace": "controller"}
        assert binding["subjects"] == [account]
        assert binding["roleRef"]["name"].startswith(name.replace("binding", "role-"))


def test_pod_alone_has_the_accounts_token_when_it_runs(graph: Graph) -> None:
    assert graph.object("ServiceAccount", "controller").manifest["automountServiceAccountToken"] is False
    spec = pods.template_of(graph.object("Deployment", "controller"))["spec"]
    assert spec["serviceAccountName"] == "controller"
    assert spec["automountServiceAccountToken"] is True


def test_new_controller_waits_beside_the_old_one_when_updated(graph: Graph) -> None:
    spec = graph.object("Deployment", "controller").manifest["spec"]
    assert spec["replicas"] == 2
    assert "strategy" not in spec, "a lease says who leads, so two at once do no harm"


@pytest.mark.parametrize(("reads", "way"), [(True, "config-dump"), (False, "written")])
def test_controller_accepts_its_environment_when_it_starts(reads: bool, way: str) -> None:
    graph = declare_one(ExperimentController, instance="controller", reads_gateway=reads)
    controller = pods.containers_of(graph.object("Deployment", "controller"))["controller"]
    env = pods.env_of(controller)
    assert env["NAMESPACE"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}
    assert env["POD_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    plain = {key: value for key, value in env.items() if isinstance(value, str)}
    from_secret = {key: value for key, value in env.items() if key.startswith("DATABASE_")}
    assert {value["secretKeyRef"]["name"] for value in from_secret.values()} == {"db-secret"}
    given = {"DATABASE_PORT": "5432", "NAMESPACE": "ns", "POD_NAME": "pod"}
    config = load_config({**dict.fromkeys(from_secret, "filled"), **plain, **given})
    assert config.split_timeout_seconds == 30
    assert config.gateway.read_back == way
    ports = {port["name"]: port["containerPort"] for port in controller["ports"]}
    assert ports == {"http-health": config.health_port, "http-metrics": config.metrics_port}
    assert controller["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "http-health"}
