"""The controller's Deployment and rights. What it does with them is tested in tests/ml/controller."""

from __future__ import annotations

import pytest

from components.experiment_controller import ExperimentController
from ml.controller.config import load_config
from tests.support import pods
from tests.support.catalogue import declare_one
from tests.support.recording_monitor import Graph


@pytest.fixture(scope="module")
def graph() -> Graph:
    return declare_one(ExperimentController, instance="controller")


def test_exactly_these_objects_are_declared_when_made(graph: Graph) -> None:
    assert sorted((item.kind, item.name) for item in graph.kubernetes_objects()) == [
        ("Deployment", "controller"),
        ("NetworkPolicy", "controller-api-access"),
        ("Role", "controller-role"),
        ("RoleBinding", "controller-binding"),
        ("ServiceAccount", "controller"),
    ]


def test_controller_may_write_routes_and_nothing_else_when_it_runs(graph: Graph) -> None:
    (role,) = graph.of_kind("Role")
    assert role.manifest["rules"] == [
        {
            "apiGroups": ["networking.istio.io"],
            "resources": ["virtualservices"],
            "verbs": ["get", "list", "watch", "create", "patch"],
        }
    ]


def test_role_is_bound_to_the_controllers_account_when_declared(graph: Graph) -> None:
    (binding,) = graph.of_kind("RoleBinding")
    assert binding.manifest["subjects"] == [{"kind": "ServiceAccount", "name": "controller", "namespace": "controller"}]
    assert binding.manifest["roleRef"]["name"].startswith("controller-role-")


def test_pod_alone_has_the_accounts_token_when_it_runs(graph: Graph) -> None:
    assert graph.object("ServiceAccount", "controller").manifest["automountServiceAccountToken"] is False
    spec = pods.template_of(graph.object("Deployment", "controller"))["spec"]
    assert spec["serviceAccountName"] == "controller"
    assert spec["automountServiceAccountToken"] is True


def test_old_controller_ends_before_the_new_one_starts_when_updated(graph: Graph) -> None:
    spec = graph.object("Deployment", "controller").manifest["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


def test_controller_accepts_its_environment_when_it_starts(graph: Graph) -> None:
    controller = pods.containers_of(graph.object("Deployment", "controller"))["controller"]
    env = pods.env_of(controller)
    assert env["NAMESPACE"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}
    config = load_config({**{key: value for key, value in env.items() if isinstance(value, str)}, "NAMESPACE": "ns"})
    assert config.split_timeout_seconds == 30
    (port,) = controller["ports"]
    assert config.health_port == port["containerPort"]
    assert controller["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
