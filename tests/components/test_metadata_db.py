"""The relational store's objects. That the bootstrap does what it says is shown in test_bootstrap_scripts.py."""

from __future__ import annotations

from typing import Any

import pytest

from components.metadata_db import MetadataDb
from tests.support import pods
from tests.support.catalogue import declare_one
from tests.support.catalogue_values import IMAGE
from tests.support.recording_monitor import Graph


@pytest.fixture(scope="module")
def graph() -> Graph:
    return declare_one(MetadataDb, instance="db")


def server_spec(graph: Graph) -> dict[str, Any]:
    return graph.object("StatefulSet", "db").manifest["spec"]


def test_exactly_these_objects_are_declared_when_there_are_two_consumers(graph: Graph) -> None:
    assert sorted((item.kind, item.name) for item in graph.kubernetes_objects()) == [
        ("Job", "db-bootstrap"),
        ("NetworkPolicy", "db-access"),
        ("NetworkPolicy", "db-offer"),
        ("Secret", "db-admin"),
        ("Secret", "db-events"),
        ("Secret", "db-exporter"),
        ("Secret", "db-mlflow"),
        ("Service", "db"),
        ("StatefulSet", "db"),
    ]


def test_consumer_secret_has_all_that_a_client_needs_when_declared(graph: Graph) -> None:
    data = graph.object("Secret", "db-mlflow").manifest["stringData"]
    assert set(data) == {"username", "password", "dbname", "host", "port", "uri"}
    assert (data["username"], data["dbname"], data["host"], data["port"]) == ("mlflow", "mlflow", "db", "5432")
    assert data["uri"] == f"postgresql://mlflow:{data['password']}@db:5432/mlflow"


def test_observer_is_sent_to_a_database_that_is_nobodys_when_its_secret_is_read(graph: Graph) -> None:
    data = graph.object("Secret", "db-exporter").manifest["stringData"]
    assert (data["username"], data["dbname"]) == ("exporter", "postgres")
    assert data["uri"] == f"postgresql://exporter:{data['password']}@db:5432/postgres"


def test_passwords_differ_when_clients_do(graph: Graph) -> None:
    names = ("db-admin", "db-mlflow", "db-events", "db-exporter")
    assert len({graph.object("Secret", name).manifest["stringData"]["password"] for name in names}) == 4


def test_password_reaches_the_server_as_a_file_when_it_starts(graph: Graph) -> None:
    server = pods.containers_of(graph.object("StatefulSet", "db"))["server"]
    env = pods.env_of(server)
    assert env["POSTGRES_PASSWORD_FILE"] == "/run/secrets/admin/password"
    assert "POSTGRES_PASSWORD" not in env
    assert env["POSTGRES_INITDB_ARGS"] == "--auth=scram-sha-256"


def test_data_lies_on_the_volume_when_the_server_writes(graph: Graph) -> None:
    server = pods.containers_of(graph.object("StatefulSet", "db"))["server"]
    mounts = {mount["name"]: mount["mountPath"] for mount in server["volumeMounts"]}
    assert pods.env_of(server)["PGDATA"].startswith(mounts["data"] + "/")
    (claim,) = server_spec(graph)["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"] == {"storage": "7Gi"}
    assert claim["spec"]["storageClassName"] == "fast"


def test_claim_does_not_carry_the_version_when_declared(graph: Graph) -> None:
    (claim,) = server_spec(graph)["volumeClaimTemplates"]
    assert "app.kubernetes.io/version" not in claim["metadata"]["labels"]


def test_fields_that_force_a_replacement_are_these_when_declared(graph: Graph) -> None:
    spec = server_spec(graph)
    assert spec["serviceName"] == "db"
    assert spec["selector"] == {
        "matchLabels": {"app.kubernetes.io/name": "metadata-db", "app.kubernetes.io/instance": "db"}
    }
    assert spec["podManagementPolicy"] == "Parallel"
    assert "revisionHistoryLimit" not in spec


def test_claim_template_is_unchanged_when_the_image_changes(graph: Graph) -> None:
    other = declare_one(MetadataDb, instance="db", image="registry.test/image:9.9.9")
    assert server_spec(other)["volumeClaimTemplates"] == server_spec(graph)["volumeClaimTemplates"]


def test_data_outlives_the_component_when_protected(graph: Graph) -> None:
    server = graph.object("StatefulSet", "db")
    assert server.protect
    assert server.manifest["metadata"]["annotations"] == {"pulumi.com/deletionPropagationPolicy": "orphan"}
    assert server_spec(graph)["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"


def test_data_goes_with_the_component_when_not_protected() -> None:
    graph = declare_one(MetadataDb, instance="db", protect=False)
    assert not graph.object("StatefulSet", "db").protect
    assert server_spec(graph)["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete"


def test_bootstrap_sees_secrets_as_files_and_environment_only_when_it_runs(graph: Graph) -> None:
    job = graph.object("Job", "db-bootstrap")
    bootstrap = pods.containers_of(job)["bootstrap"]
    assert pods.env_of(bootstrap)["PGPASSWORD"] == {"secretKeyRef": {"name": "db-admin", "key": "password"}}
    mounts = {mount["mountPath"] for mount in bootstrap["volumeMounts"]}
    consumers = {"/run/secrets/consumers/mlflow", "/run/secrets/consumers/events"}
    assert mounts == consumers | {"/run/secrets/observer", "/tmp"}
    assert pods.env_of(bootstrap)["OBSERVER_DIR"] == "/run/secrets/observer"
    assert bootstrap["image"] == IMAGE


def test_bootstrap_runs_again_when_a_password_changes() -> None:
    def annotation(consumers: tuple[str, ...]) -> str:
        job = declare_one(MetadataDb, instance="db", consumers=consumers).object("Job", "db-bootstrap")
        return pods.template_of(job)["metadata"]["annotations"]["mlplatform.dev/config"]

    assert annotation(("mlflow",)) != annotation(("mlflow", "events"))


def test_only_clients_may_connect_when_traffic_is_denied_by_default(graph: Graph) -> None:
    offer = graph.object("NetworkPolicy", "db-offer").manifest["spec"]
    assert offer["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/name": "metadata-db",
        "app.kubernetes.io/instance": "db",
    }
    client = {"podSelector": {"matchLabels": {"mlplatform.dev/access-db": "true"}}}
    assert offer["ingress"] == [{"from": [client], "ports": [{"port": 5432, "protocol": "TCP"}]}]
    access = graph.object("NetworkPolicy", "db-access").manifest["spec"]
    assert access["podSelector"] == client["podSelector"]
    assert access["egress"][0]["to"] == [{"podSelector": offer["podSelector"]}]


def test_bootstrap_is_a_client_and_not_a_server_when_its_labels_are_read(graph: Graph) -> None:
    labels = pods.template_of(graph.object("Job", "db-bootstrap"))["metadata"]["labels"]
    assert labels["mlplatform.dev/access-db"] == "true"
    assert labels["app.kubernetes.io/instance"] == "db-bootstrap"
