"""The tracking server's objects. That MLflow takes these settings is shown by the end-to-end tests."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

import pytest

from components._database import DatabaseAccess
from components._tracking_stores import BucketAccess
from components.tracking_server import TrackingServer
from tests.support import pods
from tests.support.catalogue import declare_one
from tests.support.recording_monitor import Graph


@pytest.fixture(scope="module")
def graph() -> Graph:
    return declare_one(TrackingServer, instance="tracking")


def server_args(graph: Graph) -> dict[str, str]:
    server = pods.containers_of(graph.object("Deployment", "tracking"))["server"]
    pairs = (argument.removeprefix("--").partition("=") for argument in server["args"])
    return {name: value for name, _, value in pairs}


def test_exactly_these_objects_are_declared_when_there_are_two_replicas(graph: Graph) -> None:
    assert sorted((item.kind, item.name) for item in graph.kubernetes_objects()) == [
        ("Deployment", "tracking"),
        ("Job", "tracking-migration"),
        ("NetworkPolicy", "tracking-access"),
        ("NetworkPolicy", "tracking-offer"),
        ("PodDisruptionBudget", "tracking-budget"),
        ("Secret", "tracking-keys"),
        ("Service", "tracking"),
    ]


def test_no_budget_is_declared_when_there_is_one_replica() -> None:
    assert declare_one(TrackingServer, replicas=1).of_kind("PodDisruptionBudget") == []


def test_servers_start_after_the_migration_when_deployed(graph: Graph) -> None:
    migration = graph.object("Job", "tracking-migration")
    assert migration.urn in graph.object("Deployment", "tracking").depends_on


@pytest.mark.parametrize("workload", ["Deployment", "Job"])
def test_database_password_is_in_no_argument_when_a_process_starts(graph: Graph, workload: str) -> None:
    (item,) = graph.of_kind(workload)
    (container,) = pods.containers_of(item).values()
    env = pods.env_of(container)
    assert env["DATABASE_PASSWORD"] == {"secretKeyRef": {"name": "db-secret", "key": "password"}}
    assert env["MLFLOW_BACKEND_STORE_URI"] == (
        "postgresql+psycopg2://$(DATABASE_USERNAME):$(DATABASE_PASSWORD)@$(DATABASE_HOST):$(DATABASE_PORT)"
        "/$(DATABASE_DBNAME)"
    )
    names = [entry["name"] for entry in container["env"]]
    assert all(names.index(f"DATABASE_{key}") < names.index("MLFLOW_BACKEND_STORE_URI") for key in ("PASSWORD", "HOST"))
    started_with = " ".join([*container["command"], *container.get("args", [])])
    assert "postgresql" not in started_with
    assert "$(" not in started_with


def test_server_has_the_workers_and_stores_that_are_set_when_started(graph: Graph) -> None:
    args = server_args(graph)
    assert args["workers"] == "3"
    assert args["host"] == "0.0.0.0"  # noqa: S104 inside a pod
    assert args["port"] == "5000"
    assert args["artifacts-destination"] == "s3://artifacts"
    env = pods.env_of(pods.containers_of(graph.object("Deployment", "tracking"))["server"])
    assert env["MLFLOW_S3_ENDPOINT_URL"] == "http://s3:9000"
    assert env["AWS_SECRET_ACCESS_KEY"] == {"secretKeyRef": {"name": "bucket-secret", "key": "secret-key"}}


def test_memory_grows_with_the_workers_when_they_are_set(graph: Graph) -> None:
    def limit(workers: int) -> str:
        changed = declare_one(TrackingServer, instance="tracking", workers=workers)
        server = pods.containers_of(changed.object("Deployment", "tracking"))["server"]
        return server["resources"]["limits"]["memory"]

    assert limit(1) == "1000Mi"
    assert limit(4) == "2500Mi"


def test_expensive_and_outgoing_features_are_off_when_the_server_starts(graph: Graph) -> None:
    env = pods.env_of(pods.containers_of(graph.object("Deployment", "tracking"))["server"])
    assert env["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert env["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_metrics_are_written_to_a_folder_of_the_pod_when_the_server_starts(graph: Graph) -> None:
    server = pods.containers_of(graph.object("Deployment", "tracking"))["server"]
    mounts = {mount["mountPath"]: mount["name"] for mount in server["volumeMounts"]}
    volumes = {
        item["name"]: item for item in pods.template_of(graph.object("Deployment", "tracking"))["spec"]["volumes"]
    }
    assert "emptyDir" in volumes[mounts[server_args(graph)["expose-prometheus"]]]


@pytest.mark.parametrize(
    "host",
    [
        "tracking",
        "tracking:5000",
        "tracking.research",
        "tracking.research.svc.cluster.local",
        "tracking.research.svc.cluster.local:5000",
        "mlflow.example.org",
        "mlflow.example.org:8080",
        "localhost:12345",
        "127.0.0.1:12345",
        "10.244.0.17:5000",
    ],
)
def test_host_is_allowed_when_clients_use_it(graph: Graph, host: str) -> None:
    allowed = server_args(graph)["allowed-hosts"].split(",")
    assert any(fnmatch(host, pattern) if "*" in pattern else host == pattern for pattern in allowed)


@pytest.mark.parametrize("host", ["evil.example.org", "tracking.other", "mlflow.example.org.evil.org", "11.0.0.1"])
def test_host_is_refused_when_it_is_foreign(graph: Graph, host: str) -> None:
    allowed = server_args(graph)["allowed-hosts"].split(",")
    assert not any(fnmatch(host, pattern) if "*" in pattern else host == pattern for pattern in allowed)


CHANGED_CREDENTIALS = {
    "database": DatabaseAccess(secret="db-secret", fingerprint="db2", label="metadata-db"),
    "artifacts": BucketAccess(
        secret="bucket-secret", bucket="artifacts", endpoint="http://s3:9000", fingerprint="s32", label="object-store"
    ),
}


@pytest.mark.parametrize("source", sorted(CHANGED_CREDENTIALS))
def test_pods_are_replaced_when_a_credential_changes(graph: Graph, source: str) -> None:
    changes: dict[str, Any] = {source: CHANGED_CREDENTIALS[source]}
    other = declare_one(TrackingServer, instance="tracking", **changes)

    def annotation(graph: Graph) -> str:
        template = pods.template_of(graph.object("Deployment", "tracking"))
        return template["metadata"]["annotations"]["mlplatform.dev/config"]

    assert annotation(other) != annotation(graph)


def test_server_may_reach_both_stores_when_traffic_is_denied_by_default(graph: Graph) -> None:
    labels = pods.template_of(graph.object("Deployment", "tracking"))["metadata"]["labels"]
    assert labels["mlplatform.dev/access-metadata-db"] == labels["mlplatform.dev/access-object-store"] == "true"
    migration = pods.template_of(graph.object("Job", "tracking-migration"))["metadata"]["labels"]
    assert migration["mlplatform.dev/access-metadata-db"] == "true"
    assert "mlplatform.dev/access-object-store" not in migration


def test_no_name_and_no_way_from_outside_exist_when_nobody_may_open_the_page() -> None:
    graph = declare_one(TrackingServer, instance="tracking", public_host=None, gateway=None)
    given = server_args(graph)
    assert "cors-allowed-origins" not in given
    assert "example.org" not in given["allowed-hosts"]
    (offer,) = [item for item in graph.of_kind("NetworkPolicy") if item.name == "tracking-offer"]
    peers = [peer for rule in offer.manifest["spec"]["ingress"] for peer in rule["from"]]
    assert peers == [{"podSelector": {"matchLabels": {"mlplatform.dev/access-tracking": "true"}}}]
