"""A team's objects. Who may reach what with them is in tests/stack/test_isolation.py."""

from __future__ import annotations

from typing import Any

import pytest

from components.team import Team
from components.team_registry import TeamRegistry
from tests.support import pods
from tests.support.catalogue import declare_one
from tests.support.recording_monitor import Graph


@pytest.fixture(scope="module")
def graph() -> Graph:
    return declare_one(Team, instance="vision")


def test_exactly_these_objects_are_declared_when_two_services_are_open(graph: Graph) -> None:
    assert sorted((item.kind, item.name) for item in graph.kubernetes_objects()) == [
        ("LimitRange", "vision-limits"),
        ("Namespace", "vision"),
        ("NetworkPolicy", "vision-allow-dns"),
        ("NetworkPolicy", "vision-among"),
        ("NetworkPolicy", "vision-deny-all"),
        ("NetworkPolicy", "vision-into-api"),
        ("NetworkPolicy", "vision-into-object-store"),
        ("NetworkPolicy", "vision-to-api"),
        ("NetworkPolicy", "vision-to-object-store"),
        ("ResourceQuota", "vision-quota"),
        ("Role", "vision-experiments-role"),
        ("Role", "vision-role"),
        ("RoleBinding", "vision-binding"),
        ("RoleBinding", "vision-experiments-binding"),
        ("Secret", "vision-bucket"),
    ]


def test_namespace_is_restricted_and_says_who_pays_when_declared(graph: Graph) -> None:
    namespace = graph.object("Namespace", "vision")
    labels = namespace.manifest["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}
    assert (labels["mlplatform.dev/team"], labels["mlplatform.dev/cost-center"]) == ("vision", "42")
    assert namespace.protect


def test_quota_holds_what_the_team_may_take_when_declared(graph: Graph) -> None:
    hard = graph.object("ResourceQuota", "vision-quota").manifest["spec"]["hard"]
    assert hard["requests.cpu"] == "4"
    assert hard["requests.memory"] == hard["limits.memory"] == "16Gi"
    assert hard["requests.nvidia.com/gpu"] == "1"
    assert hard["requests.storage"] == "10Gi"
    assert hard["services.loadbalancers"] == hard["services.nodeports"] == "0"


def test_containers_without_a_word_get_what_the_quota_asks_for_when_made(graph: Graph) -> None:
    """A quota on requests and limits refuses containers that say nothing."""
    container, claim = graph.object("LimitRange", "vision-limits").manifest["spec"]["limits"]
    assert set(container["defaultRequest"]) == {"cpu", "memory"}
    assert container["default"] == {"memory": "512Mi"}
    assert container["max"] == {"memory": "16Gi"}
    assert claim == {"type": "PersistentVolumeClaim", "max": {"storage": "10Gi"}}


def test_rights_are_the_groups_alone_when_bound(graph: Graph) -> None:
    for name in ("vision-binding", "vision-experiments-binding"):
        subjects = graph.object("RoleBinding", name).manifest["subjects"]
        expected = {"kind": "Group", "name": "researchers", "apiGroup": "rbac.authorization.k8s.io"}
        assert subjects == [expected]
    where = {item.name: item.manifest["metadata"]["namespace"] for item in graph.of_kind("Role")}
    assert where == {"vision-role": "vision", "vision-experiments-role": "research"}


def rules_on(graph: Graph, resource: str) -> list[dict[str, Any]]:
    rules = graph.object("Role", "vision-role").manifest["rules"]
    return [rule for rule in rules if resource in rule["resources"]]


def test_only_the_buckets_key_can_be_read_when_there_are_other_secrets(graph: Graph) -> None:
    reading = [rule for rule in rules_on(graph, "secrets") if {"get", "list", "watch"} & set(rule["verbs"])]
    assert [(rule["verbs"], rule["resourceNames"]) for rule in reading] == [(["get"], ["object-store"])]


@pytest.mark.parametrize("resource", ["networkpolicies", "resourcequotas", "limitranges", "serviceaccounts"])
def test_what_keeps_teams_apart_is_only_shown_when_people_look(graph: Graph, resource: str) -> None:
    (rule,) = rules_on(graph, resource)
    assert rule["verbs"] == ["get", "list", "watch"]


def test_key_of_the_bucket_is_all_that_a_client_needs_when_declared(graph: Graph) -> None:
    secret = graph.object("Secret", "vision-bucket")
    assert secret.object_name == "object-store"
    assert secret.manifest["metadata"]["namespace"] == "vision"
    data = secret.manifest["stringData"]
    assert (data["access-key"], data["bucket"]) == ("team-vision", "team-vision")
    assert data["endpoint"] == "http://object-store.research:9000"
    assert len(data["secret-key"]) == 64


def test_pods_are_known_to_the_cloud_instead_of_having_a_key_when_its_store_is_used() -> None:
    graph = declare_one(Team, instance="vision", bucket=None)
    assert not graph.of_kind("Secret")
    account = graph.object("ServiceAccount", "vision")
    assert account.manifest["automountServiceAccountToken"] is False
    policy = graph.object("NetworkPolicy", "vision-to-cloud").manifest["spec"]
    assert policy["podSelector"] == {"matchLabels": {"mlplatform.dev/access-object-store": "true"}}


def test_proxy_writes_the_teams_workspace_and_may_call_the_registry_only_when_it_runs() -> None:
    graph = declare_one(TeamRegistry, instance="team-vision-registry")
    deployment = graph.object("Deployment", "team-vision-registry")
    server = pods.containers_of(deployment)["server"]
    env = pods.env_of(server)
    assert (env["WORKSPACE"], env["REGISTRY_URL"]) == ("vision", "http://tracking-server:5000")
    assert server["command"] == ["python3", "-m", "ml.workspaces"]
    labels = pods.template_of(deployment)["metadata"]["labels"]
    assert [key for key in labels if "access-" in key] == ["mlplatform.dev/access-tracking-server"]
    assert pods.template_of(deployment)["spec"]["automountServiceAccountToken"] is False
    service = graph.object("Service", "team-vision-registry").manifest["spec"]
    assert [port["port"] for port in service["ports"]] == [server["ports"][0]["containerPort"]]
    assert graph.of_kind("PodDisruptionBudget")
