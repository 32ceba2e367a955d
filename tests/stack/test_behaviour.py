"""What a stack promises, by name: each test says what would be lost if the golden file changed there."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from ml.contracts import DEFAULT_MODELS, kube_name, split_route_name
from tests.support import pods
from tests.support.recording_monitor import Graph, Recorded, reveal
from tests.support.stacks import MASTER_SECRET

MAX_EXPLICIT_EDGES = 5
MAX_CHAIN = 32
"""Of which a stack on AWS with a database of the cloud takes a third before the cluster is there."""
MODEL_SLOTS = {"stable": "champion", "candidate-a": "candidate-a"}


def explicit_edges(graph: Graph, item: Recorded) -> set[str]:
    """Return what an object waits for without using anything of it."""
    by_data = {urn for urns in item.property_dependencies.values() for urn in urns}
    return set(item.depends_on) - by_data


def reachable(graph: Graph, workload: str) -> set[str]:
    """Return the services whose access label the pods of a workload carry."""
    (item,) = [item for item in pods.workloads(graph) if item.name == workload]
    labels = pods.template_of(item)["metadata"]["labels"]
    prefix = "mlplatform.dev/access-"
    return {label.removeprefix(prefix) for label in labels if label.startswith(prefix)}


# What other parts rely on -------------------------------------------------------------------------------------------


def test_outputs_are_those_of_the_contract_when_exported(local: Graph) -> None:
    outputs = local.stack_outputs
    assert outputs["namespace"] == "free-deep-research"
    assert outputs["domain"] == "freedeepresearch.org"
    assert outputs["hosts"] == {role: f"{role}.freedeepresearch.org" for role in ("mlflow", "minio", "ml", "api")}
    assert outputs["gateway"] == {
        "service": "istio-ingressgateway",
        "namespace": "istio-system",
        "address": "127.0.0.1:8080",
    }
    assert outputs["metadataDb"] == {
        "service": "metadata-db",
        "port": 5432,
        "adminSecret": "metadata-db-admin",
        "consumers": {"mlflow": "metadata-db-mlflow", "events": "metadata-db-events"},
    }
    assert outputs["objectStore"] == {
        "service": "object-store",
        "port": 9000,
        "consolePort": 9001,
        "adminSecret": "object-store-admin",
        "consumers": {"mlflow": {"secret": "object-store-mlflow", "bucket": "mlflow-artifacts"}},
    }
    assert outputs["trackingServer"] == {
        "service": "tracking-server",
        "port": 5000,
        "url": "http://tracking-server:5000",
    }
    assert outputs["controller"] == {"deployment": "experiment-controller"}
    assert outputs["api"] == {"service": "api", "port": 8000, "deployment": "api", "tokenSecret": "api-tokens"}
    assert outputs["prometheus"] == {"service": "prometheus", "port": 9090, "url": "http://prometheus:9090"}
    assert outputs["training"] == {
        "image": "localhost/mlplatform/training:0123456789ab",
        "serviceAccount": "training",
    }
    assert set(outputs) == {
        "namespace", "domain", "hosts", "gateway", "models", "metadataDb", "objectStore", "trackingServer",
        "controller", "api", "prometheus", "images", "training", "prerequisites",
    }  # fmt: skip


@pytest.mark.parametrize("model", DEFAULT_MODELS)
def test_model_outputs_name_existing_objects_when_exported(graph: Graph, model: str) -> None:
    output = graph.stack_outputs["models"][model]
    assert graph.object("Service", output["service"]).object_name == kube_name(model)
    assert graph.object("VirtualService", output["root"])
    assert output["split"] == split_route_name(model)
    assert {slot: entry["alias"] for slot, entry in output["slots"].items()} == MODEL_SLOTS
    for entry in output["slots"].values():
        assert graph.object("Deployment", entry["deployment"])


def test_secrets_named_by_outputs_exist_when_exported(given: Graph) -> None:
    outputs = given.stack_outputs
    for name in (
        outputs["metadataDb"]["adminSecret"],
        *outputs["metadataDb"]["consumers"].values(),
        outputs["api"]["tokenSecret"],
        outputs["objectStore"]["adminSecret"],
        outputs["objectStore"]["consumers"]["mlflow"]["secret"],
    ):
        assert given.object("Secret", name)


# Ownership ----------------------------------------------------------------------------------------------------------


def test_no_weight_and_no_split_is_declared_when_deployed(graph: Graph) -> None:
    for item in graph.kubernetes_objects():
        assert '"weight"' not in json.dumps(item.manifest)
        assert item.object_name not in {split_route_name(model) for model in DEFAULT_MODELS}


def test_every_object_has_the_one_explicit_provider_when_deployed(graph: Graph) -> None:
    assert {item.provider for item in graph.kubernetes_objects()} == {"cluster"}
    assert len(graph.of_type("pulumi:providers:kubernetes")) == 1


# Secrets ------------------------------------------------------------------------------------------------------------


def test_master_secret_is_nowhere_when_everything_is_searched(graph: Graph) -> None:
    for item in graph.resources.values():
        assert MASTER_SECRET not in json.dumps(reveal(dict(item.inputs)))
    for outputs in graph.outputs.values():
        assert MASTER_SECRET not in json.dumps(reveal(dict(outputs)))


def test_stack_outputs_hold_no_secret_when_exported(graph: Graph) -> None:
    assert reveal(dict(graph.stack_outputs)) == dict(graph.stack_outputs)


# Order --------------------------------------------------------------------------------------------------------------


def test_waiting_without_data_is_rare_when_deployed(given: Graph) -> None:
    waiting = {item.name: explicit_edges(given, item) for item in given.resources.values()}
    waiting = {name: edges for name, edges in waiting.items() if edges}
    pipelines = {"pipelines"} if given.of_type("mlplatform:index:PipelineService") else set[str]()
    expected = {"tracking-server", "event-store", *pipelines}
    assert set(waiting) == expected, "their stores, and the tracking server's migration"


def test_tracking_server_waits_for_both_bootstraps_when_deployed(given: Graph) -> None:
    (component,) = given.of_type("mlplatform:index:TrackingServer")
    for name in ("metadata-db-bootstrap", "object-store-bootstrap"):
        assert given.object("Job", name).urn in component.depends_on


def test_event_store_waits_for_its_database_when_deployed(graph: Graph) -> None:
    (component,) = graph.of_type("mlplatform:index:EventStore")
    assert graph.object("Job", "metadata-db-bootstrap").urn in component.depends_on


@pytest.mark.parametrize("name", ["api", "experiment-controller"])
def test_readers_of_experiments_start_after_schema_and_definition_when_deployed(graph: Graph, name: str) -> None:
    deployment = graph.object("Deployment", name)
    before = {urn for urns in deployment.property_dependencies.values() for urn in urns}
    assert graph.object("Job", "event-store-migration").urn in before
    assert graph.object("CustomResourceDefinition", "ab-tests").urn in before


def test_dependency_chains_are_short_when_deployed(graph: Graph) -> None:
    depths: dict[str, int] = {}

    def depth(urn: str) -> int:
        if urn not in depths:
            item = graph.resources[urn]
            before = [other for other in {*item.depends_on, item.parent} if other in graph.resources]
            depths[urn] = 1 + max((depth(other) for other in before), default=0)
        return depths[urn]

    assert max(depth(urn) for urn in graph.resources) <= MAX_CHAIN


# Pods and network ---------------------------------------------------------------------------------------------------


def test_every_access_label_has_a_policy_when_traffic_is_denied_by_default(graph: Graph) -> None:
    labels = {
        label
        for workload in pods.workloads(graph)
        for label in pods.template_of(workload)["metadata"]["labels"]
        if label.startswith("mlplatform.dev/access-")
    }
    granted = {
        label
        for policy in graph.of_kind("NetworkPolicy")
        for label in policy.manifest["spec"]["podSelector"].get("matchLabels", {})
    }
    assert labels <= granted


@pytest.mark.parametrize(
    ("workload", "services"),
    [
        ("tracking-server-migration", {"metadata-db"}),
        ("metadata-db-bootstrap", {"metadata-db"}),
        ("research-pattern-predictor-stable", {"tracking-server"}),
        ("content-quality-model-candidate-a", {"tracking-server"}),
        ("experiment-controller", {"metadata-db", "tracking-server", "prometheus"}),
        ("api", {"metadata-db", "prometheus"}),
        ("database-exporter", {"metadata-db"}),
        ("event-store-migration", {"metadata-db"}),
        ("prometheus", set[str]()),
    ],
)
def test_pod_may_reach_these_services_and_no_others_when_enforced(
    graph: Graph, workload: str, services: set[str]
) -> None:
    assert reachable(graph, workload) == services


def test_database_may_reach_nobody_when_it_is_a_pod(given: Graph, staging: Graph) -> None:
    assert reachable(given, "metadata-db") == reachable(staging, "metadata-db") == set()


@pytest.mark.parametrize(
    ("workload", "services"),
    [
        ("tracking-server", {"metadata-db", "object-store"}),
        ("object-store-bootstrap", {"object-store"}),
        ("object-store", set[str]()),
    ],
)
def test_only_clients_of_the_store_may_reach_it_when_it_is_a_pod(
    given: Graph, workload: str, services: set[str]
) -> None:
    assert reachable(given, workload) == services


def test_every_host_is_routed_when_deployed(graph: Graph) -> None:
    (gateway,) = graph.of_kind("Gateway")
    hosts = {host.removeprefix("./") for host in gateway.manifest["spec"]["servers"][0]["hosts"]}
    routed = {host for item in graph.of_kind("VirtualService") for host in item.manifest["spec"]["hosts"]}
    assert hosts == routed


def test_metrics_and_probes_of_the_api_are_not_public_when_deployed(graph: Graph) -> None:
    route = graph.object("VirtualService", "platform-gateway-api")
    (http,) = route.manifest["spec"]["http"]
    assert http["match"] == [{"uri": {"prefix": "/ml/"}}]


def test_what_prometheus_asks_for_exists_when_deployed(graph: Graph) -> None:
    """Every name that it looks up is a headless Service that selects a workload with the port that it then reads."""
    (config,) = [item for item in graph.of_kind("ConfigMap") if item.name == "prometheus-config"]
    jobs = yaml.safe_load(config.manifest["data"]["prometheus.yaml"])["scrape_configs"]
    found = {query["names"][0]: query["port"] for job in jobs for query in job.get("dns_sd_configs", [])}
    services = {
        f"{item.object_name}.{item.manifest['metadata']['namespace']}.svc.cluster.local": item.manifest["spec"]
        for item in graph.of_kind("Service")
    }
    for host, port in found.items():
        assert services[host]["clusterIP"] == "None"
        assert services[host]["publishNotReadyAddresses"] is True
        selector = services[host]["selector"].items()
        selected = [
            item for item in pods.workloads(graph) if selector <= pods.template_of(item)["metadata"]["labels"].items()
        ]
        assert bool(selected) == (host.split(".")[1] in {"free-deep-research", "kubeflow"}), host
        for item in selected:
            ports = {p["containerPort"] for c in pods.containers_of(item).values() for p in c.get("ports", [])}
            assert port in ports, f"{item.name} does not listen on {port}"


# What differs between stacks ----------------------------------------------------------------------------------------


def test_local_runs_only_images_built_here_when_deployed(local: Graph) -> None:
    images = {item["image"] for workload in pods.workloads(local) for item in pods.containers_of(workload).values()}
    assert all(image.startswith("localhost/mlplatform/") for image in images)


def test_dev_runs_official_images_when_deployed(dev: Graph) -> None:
    images = {item["image"] for workload in pods.workloads(dev) for item in pods.containers_of(workload).values()}
    # Pinned by digest where the digest is known; which one it is, the golden graph shows.
    assert {re.sub("(?<=@sha256):[0-9a-f]{64}$", "", image) for image in images} == {
        "docker.io/library/postgres:18.6@sha256",
        "quay.io/prometheuscommunity/postgres-exporter:v0.20.1@sha256",
        "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z@sha256",
        "quay.io/minio/mc:RELEASE.2025-08-13T08-35-41Z@sha256",
        "docker.io/library/mysql:8.4.10@sha256",
        "gcr.io/tfx-oss-public/ml_metadata_store_server:1.14.0",
        "ghcr.io/kubeflow/kfp-api-server:2.17.0",
        "ghcr.io/kubeflow/kfp-persistence-agent:2.17.0",
        "ghcr.io/kubeflow/kfp-scheduled-workflow-controller:2.17.0",
        "quay.io/argoproj/workflow-controller:v4.0.5",
        "ghcr.io/mlflow/mlflow:v3.17.2-full",
        "docker.io/tensorflow/serving:2.20.0",
        "docker.io/prom/prometheus:v3.14.0@sha256",
        "registry.freedeepresearch.org/mlplatform/ml:0.1.0",
    }


def test_both_stacks_declare_the_same_objects_when_deployed(local: Graph, dev: Graph) -> None:
    def structure(graph: Graph) -> set[tuple[str, str]]:
        return {(item.type, item.name) for item in graph.resources.values()}

    only_dev = structure(dev) - structure(local)
    pipelines = {(kind, name) for kind, name in only_dev if "pipeline" in name or name.startswith("prometheus-")}
    assert only_dev - pipelines == {
        ("kubernetes:policy/v1:PodDisruptionBudget", f"{name}-budget") for name in ("api", "experiment-controller")
    }, "what is there twice may be drained one by one"
    advice = {item for item in structure(local) if item[1] == "admission-policies-workloads-advisory"}
    assert len(advice) == 2, "what policies.toml only advises locally, as a policy and its binding"
    assert pipelines, "in local runs Kubeflow's local runner in their place"
    pages = {item for item in structure(local) if item[1] in {"platform-gateway-mlflow", "platform-gateway-minio"}}
    assert len(pages) == 2, "what only the owner of the machine can reach"
    assert structure(local) - advice - pages < structure(dev)


def test_data_is_protected_in_dev_and_not_in_local_when_deployed(local: Graph, dev: Graph) -> None:
    assert {item.name for item in local.resources.values() if item.protect} == set()
    assert {item.name for item in dev.resources.values() if item.protect} == {
        "platform-namespace",
        "metadata-db",
        "object-store",
        "prometheus",
        "pipeline-namespace",
        "pipelines-mysql",
    }


def test_workers_are_few_in_local_and_four_elsewhere_when_deployed(local: Graph, dev: Graph) -> None:
    def workers(graph: Graph) -> list[str]:
        server = pods.containers_of(graph.object("Deployment", "tracking-server"))["server"]
        return [argument for argument in server["args"] if argument.startswith("--workers")]

    assert workers(local) == ["--workers=2"]
    assert workers(dev) == ["--workers=4"]


def test_local_reserves_less_than_a_small_machine_has_when_deployed(local: Graph) -> None:
    def total(resource: str, unit: str) -> int:
        servers = [item for item in pods.workloads(local) if item.kind != "Job"]
        return sum(
            int(container["resources"]["requests"][resource].removesuffix(unit))
            for item in servers
            for container in pods.containers_of(item).values()
        )

    assert total("memory", "Mi") <= 4 * 1024
    assert total("cpu", "m") <= 1000
