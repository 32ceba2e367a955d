"""What pipelines promise in a stack: that nobody reaches them by accident, and that runs reach what they need.

Does not prove that Kubeflow's images accept what they are given: none of them can be pulled here (docs/pipelines.md).
"""

from __future__ import annotations

import functools
import json

import pytest

from tests.support import pods, schemas
from tests.support.reachability import is_peer, matches, pod, policies_in, reaches
from tests.support.recording_monitor import Graph, Recorded
from tests.support.stacks import PIPELINES_WITH_PAGE

NAMESPACE = "kubeflow"
PLATFORM = "free-deep-research"
LOGIN_PODS = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": PLATFORM}},
    "podSelector": {
        "matchLabels": {"app.kubernetes.io/name": "page-login", "app.kubernetes.io/instance": "login-kubeflow"}
    },
}


@functools.cache
def graph_with_page() -> Graph:
    return PIPELINES_WITH_PAGE.run()


@pytest.fixture
def page() -> Graph:
    return graph_with_page()


@pytest.fixture(params=["without page", "with page"])
def either(request: pytest.FixtureRequest, dev: Graph) -> Graph:
    return dev if request.param == "without page" else graph_with_page()


def in_namespace(graph: Graph, namespace: str) -> list[Recorded]:
    return [item for item in graph.kubernetes_objects() if item.manifest["metadata"].get("namespace") == namespace]


STEP = (NAMESPACE, {"workflows.argoproj.io/workflow": "train-models-abcde"})
GATEWAY = ("istio-system", {"istio": "ingressgateway"})


# Who reaches whom ---------------------------------------------------------------------------------------------------


def test_namespace_denies_everything_that_is_not_allowed_when_deployed(either: Graph) -> None:
    (namespace,) = [item for item in either.of_kind("Namespace") if item.object_name == NAMESPACE]
    assert namespace.manifest["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies_in(either, NAMESPACE)


def test_steps_reach_what_they_need_and_nothing_else_when_policies_are_enforced(either: Graph) -> None:
    servers = {
        "ml-pipeline": {8887, 8888},
        "metadata-grpc-service": {8080},
        "object-store": {9000},
        "tracking-server": {5000},
    }
    ports = {80, 443, 3000, 3306, 5000, 5432, 6060, 8000, 8080, 8081, 8443, 8887, 8888, 9000, 9001, 9090, 9902}
    found = {
        item.object_name: {port for port in ports if reaches(either, STEP, pod(either, item.object_name), port)}
        for item in pods.workloads(either)
        if item.kind != "Job"
    }
    assert {name: open_ports for name, open_ports in found.items() if open_ports} == servers


@pytest.mark.parametrize(
    ("client", "server", "port"),
    [
        ("ml-pipeline", "mysql", 3306),
        ("metadata-grpc-service", "mysql", 3306),
        ("ml-pipeline", "metadata-grpc-service", 8080),
        ("ml-pipeline", "object-store", 9000),
        ("ml-pipeline-persistenceagent", "ml-pipeline", 8887),
        ("ml-pipeline-scheduledworkflow", "ml-pipeline", 8887),
        ("ml-pipeline-ui", "ml-pipeline", 8888),
        ("ml-pipeline-ui", "metadata-envoy-service", 9090),
        ("ml-pipeline-ui", "object-store", 9000),
        ("metadata-envoy-service", "metadata-grpc-service", 8080),
        ("prometheus", "ml-pipeline", 8888),
        ("prometheus", "workflow-controller", 9090),
        ("prometheus", "ml-pipeline-scheduledworkflow", 9090),
        ("prometheus", "metadata-envoy-service", 9902),
    ],
)
def test_server_reaches_its_server_when_policies_are_enforced(page: Graph, client: str, server: str, port: int) -> None:
    assert reaches(page, pod(page, client), pod(page, server), port)


@pytest.mark.parametrize(
    ("client", "server", "port"),
    [
        ("ml-pipeline-ui", "mysql", 3306),
        ("ml-pipeline-persistenceagent", "mysql", 3306),
        ("workflow-controller", "object-store", 9000),
        ("ml-pipeline", "metadata-db", 5432),
        ("ml-pipeline", "tracking-server", 5000),
        ("api", "ml-pipeline", 8888),
        ("tracking-server", "ml-pipeline", 8888),
        ("prometheus", "mysql", 3306),
        ("prometheus", "ml-pipeline-ui", 3000),
        ("metadata-envoy-service", "ml-pipeline", 8888),
    ],
)
def test_server_does_not_reach_a_strangers_server_when_policies_are_enforced(
    page: Graph, client: str, server: str, port: int
) -> None:
    assert not reaches(page, pod(page, client), pod(page, server), port)


def test_only_its_login_reaches_the_page_when_policies_are_enforced(page: Graph) -> None:
    rules = [
        rule
        for policy in policies_in(page, NAMESPACE)
        if matches(policy["podSelector"], pod(page, "ml-pipeline-ui")[1])
        for rule in policy.get("ingress", [])
    ]
    assert rules == [{"from": [LOGIN_PODS], "ports": [{"port": 3000, "protocol": "TCP"}]}]


def test_gateway_reaches_nothing_when_policies_are_enforced(page: Graph) -> None:
    assert not [
        rule
        for policy in policies_in(page, NAMESPACE)
        for rule in policy.get("ingress", [])
        if any(is_peer(peer, GATEWAY, NAMESPACE) for peer in rule["from"])
    ]


# The page -----------------------------------------------------------------------------------------------------------


def test_page_and_its_host_are_absent_when_nobody_may_open_them(dev: Graph) -> None:
    assert not [
        item for item in pods.workloads(dev) if item.object_name in {"ml-pipeline-ui", "metadata-envoy-service"}
    ]
    assert "kubeflow" not in dev.stack_outputs["hosts"]
    assert not any(
        "kubeflow" in host for item in dev.of_kind("VirtualService") for host in item.manifest["spec"]["hosts"]
    )


# Passwords and rights -----------------------------------------------------------------------------------------------


def test_no_known_password_is_used_when_everything_is_searched(either: Graph) -> None:
    text = json.dumps([item.manifest for item in in_namespace(either, NAMESPACE)])
    assert not any(word in text for word in ("minio123", "mlpipeline123", "MYSQL_ALLOW_EMPTY_PASSWORD"))
    (keys,) = [item for item in either.of_kind("Secret") if item.object_name == "mlpipeline-minio-artifact"]
    assert len(keys.manifest["stringData"]["secretkey"]) == 64


def test_key_pair_is_the_one_that_the_object_store_knows_when_derived(either: Graph) -> None:
    (known,) = [item for item in either.of_kind("Secret") if item.object_name == "object-store-pipelines"]
    (used,) = [item for item in either.of_kind("Secret") if item.object_name == "mlpipeline-minio-artifact"]
    assert used.manifest["stringData"] == {
        "accesskey": known.manifest["stringData"]["access-key"],
        "secretkey": known.manifest["stringData"]["secret-key"],
    }
    assert known.manifest["stringData"]["bucket"] == "pipelines"


def test_nothing_has_rights_outside_the_namespace_when_deployed(either: Graph) -> None:
    assert not either.of_kind("ClusterRole")
    assert not either.of_kind("ClusterRoleBinding")
    for role in [item for item in in_namespace(either, NAMESPACE) if item.kind == "Role"]:
        for rule in role.manifest["rules"]:
            assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]
            if "secrets" in rule["resources"]:
                assert rule["resourceNames"] == ["mlpipeline-minio-artifact"]


def test_steps_can_start_nothing_in_the_cluster_when_they_run(either: Graph) -> None:
    (role,) = [item for item in either.of_kind("Role") if item.name == "pipelines-pipeline-runner-role"]
    rights = {(rule["resources"][0], verb) for rule in role.manifest["rules"] for verb in rule["verbs"]}
    assert not {right for right in rights if right[0] in {"pods", "workflows", "jobs", "deployments"}} - {
        ("pods", "get"),
        ("pods", "list"),
    }


# Versions and order -------------------------------------------------------------------------------------------------


def test_every_image_is_pinned_when_deployed(either: Graph) -> None:
    server = pods.containers_of(either.object("Deployment", "pipelines-ml-pipeline"))["server"]
    variables = pods.env_of(server)
    controller = pods.containers_of(either.object("Deployment", "pipelines-workflow-controller"))["controller"]
    assert variables["V2_DRIVER_IMAGE"] == "ghcr.io/kubeflow/kfp-driver:2.17.0"
    assert variables["V2_LAUNCHER_IMAGE"] == "ghcr.io/kubeflow/kfp-launcher:2.17.0"
    assert controller["args"][-2:] == ["--executor-image", "quay.io/argoproj/argoexec:v4.0.5"]


def test_definitions_come_before_those_who_watch_them_when_deployed(dev: Graph) -> None:
    definitions = {item.urn for item in dev.of_kind("CustomResourceDefinition") if "pipeline" in item.name}
    assert len(definitions) == 8
    for name in ("workflow-controller", "ml-pipeline", "ml-pipeline-persistenceagent", "ml-pipeline-scheduledworkflow"):
        deployment = dev.object("Deployment", f"pipelines-{name}")
        assert definitions <= {urn for urns in deployment.property_dependencies.values() for urn in urns}


def test_outputs_say_where_pipelines_are_when_exported(dev: Graph) -> None:
    assert dev.stack_outputs["pipelines"] == {
        "namespace": "kubeflow",
        "service": "ml-pipeline",
        "port": 8888,
        "url": "http://ml-pipeline.kubeflow:8888",
        "trackingUrl": "http://tracking-server.free-deep-research:5000",
    }


def test_local_has_no_pipeline_service_when_deployed(local: Graph) -> None:
    assert "pipelines" not in local.stack_outputs
    assert not local.of_type("mlplatform:index:PipelineService")


@pytest.mark.parametrize("version", schemas.KUBERNETES_VERSIONS)
def test_objects_with_a_page_fit_the_schema_when_checked_by_a_kubernetes_version(page: Graph, version: str) -> None:
    for item in page.kubernetes_objects():
        if not item.manifest["apiVersion"].partition("/")[0].endswith((".istio.io", "cert-manager.io")):
            schemas.check_kubernetes(item.manifest, version)


def test_budgets_protect_what_runs_twice_when_there_are_replicas(page: Graph) -> None:
    budgets = {item.name for item in in_namespace(page, NAMESPACE) if item.kind == "PodDisruptionBudget"}
    assert budgets == {"pipelines-workflow-controller-budget", "pipelines-ml-pipeline-ui-budget"}
