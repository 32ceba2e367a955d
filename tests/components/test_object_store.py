"""The object store's objects. That the bootstrap does what it says is shown in test_bootstrap_scripts.py."""

from __future__ import annotations

import jwt
import pytest

from components.object_store import ObjectStore
from tests.support import pods
from tests.support.catalogue import declare_one
from tests.support.catalogue_values import CLIENT_IMAGE, IMAGE
from tests.support.recording_monitor import Graph


@pytest.fixture(scope="module")
def graph() -> Graph:
    return declare_one(ObjectStore, instance="store")


def test_exactly_these_objects_are_declared_when_there_are_two_consumers(graph: Graph) -> None:
    assert sorted((item.kind, item.name) for item in graph.kubernetes_objects()) == [
        ("Job", "store-bootstrap"),
        ("NetworkPolicy", "store-access"),
        ("NetworkPolicy", "store-offer"),
        ("Secret", "store-admin"),
        ("Secret", "store-backup"),
        ("Secret", "store-metrics"),
        ("Secret", "store-mlflow"),
        ("Secret", "store-monitoring"),
        ("Service", "store"),
        ("StatefulSet", "store"),
    ]


def test_service_offers_api_and_console_when_declared(graph: Graph) -> None:
    ports = graph.object("Service", "store").manifest["spec"]["ports"]
    assert [(port["name"], port["port"]) for port in ports] == [("http-s3", 9000), ("http-console", 9001)]


def test_consumer_secret_has_all_that_a_client_needs_when_declared(graph: Graph) -> None:
    data = graph.object("Secret", "store-mlflow").manifest["stringData"]
    assert set(data) == {"access-key", "secret-key", "bucket", "endpoint"}
    assert (data["access-key"], data["bucket"], data["endpoint"]) == ("mlflow", "mlflow-artifacts", "http://store:9000")
    assert len(data["secret-key"]) == 64


def test_metrics_are_shown_to_the_observers_token_only_when_asked_for(graph: Graph) -> None:
    env = pods.env_of(pods.containers_of(graph.object("StatefulSet", "store"))["server"])
    assert env["MINIO_PROMETHEUS_AUTH_TYPE"] == "jwt"
    key = graph.object("Secret", "store-monitoring").manifest["stringData"]["secret-key"]
    token = graph.object("Secret", "store-metrics").manifest["stringData"]["token"]
    claims = jwt.decode(token, key, algorithms=["HS512"], issuer="prometheus")
    assert claims["sub"] == graph.object("Secret", "store-monitoring").manifest["stringData"]["access-key"]
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, "x" * 64, algorithms=["HS512"], issuer="prometheus")


def test_root_credentials_are_read_from_files_that_exist_when_the_server_starts(graph: Graph) -> None:
    # MinIO takes its public default credentials when such a file is missing.
    server = graph.object("StatefulSet", "store")
    env = pods.env_of(pods.containers_of(server)["server"])
    (volume,) = [item for item in pods.template_of(server)["spec"]["volumes"] if "secret" in item]
    assert volume["secret"]["secretName"] == "store-admin"
    assert "optional" not in volume["secret"]
    keys = graph.object("Secret", "store-admin").manifest["stringData"]
    assert {env["MINIO_ROOT_USER_FILE"], env["MINIO_ROOT_PASSWORD_FILE"]} == {
        f"/run/secrets/admin/{key}" for key in keys
    }


def test_server_and_console_listen_where_the_service_points_when_started(graph: Graph) -> None:
    server = pods.containers_of(graph.object("StatefulSet", "store"))["server"]
    assert server["command"] == ["minio", "server", "/data"]
    assert server["args"] == ["--address", ":9000", "--console-address", ":9001"]
    assert {port["name"]: port["containerPort"] for port in server["ports"]} == {"s3": 9000, "console": 9001}


def test_images_are_the_servers_and_the_clients_when_declared(graph: Graph) -> None:
    assert pods.containers_of(graph.object("StatefulSet", "store"))["server"]["image"] == IMAGE
    assert pods.containers_of(graph.object("Job", "store-bootstrap"))["bootstrap"]["image"] == CLIENT_IMAGE


def test_administrators_password_reaches_the_client_by_environment_only_when_it_runs(graph: Graph) -> None:
    bootstrap = pods.containers_of(graph.object("Job", "store-bootstrap"))["bootstrap"]
    env = pods.env_of(bootstrap)
    assert env["ADMIN_PASSWORD"] == {"secretKeyRef": {"name": "store-admin", "key": "password"}}
    assert env["MC_HOST_store"] == "http://$(ADMIN_USER):$(ADMIN_PASSWORD)@store:9000"
    names = [entry["name"] for entry in bootstrap["env"]]
    assert names.index("ADMIN_PASSWORD") < names.index("MC_HOST_store"), "Kubernetes expands only what came before"


def test_gateway_reaches_the_console_and_not_the_api_when_traffic_is_denied_by_default(graph: Graph) -> None:
    clients, gateway = graph.object("NetworkPolicy", "store-offer").manifest["spec"]["ingress"]
    assert [port["port"] for port in clients["ports"]] == [9000]
    assert [port["port"] for port in gateway["ports"]] == [9001]
    assert gateway["from"] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "istio-system"}},
            "podSelector": {"matchLabels": {"istio": "ingressgateway"}},
        }
    ]


def test_cluster_default_class_is_taken_when_none_is_named(graph: Graph) -> None:
    (claim,) = graph.object("StatefulSet", "store").manifest["spec"]["volumeClaimTemplates"]
    assert "storageClassName" not in claim["spec"]
    assert claim["spec"]["resources"]["requests"] == {"storage": "8Gi"}
