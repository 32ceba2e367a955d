"""The API's Deployment, tokens and rights. What it answers is tested in tests/ml/api."""

from __future__ import annotations

import pytest

from components.api import Api, OidcIssuer
from components.event_store import EventStore
from ml.api.settings import load_settings
from ml.events.pool import DatabaseSettings
from tests.support import pods
from tests.support.catalogue import declare_one
from tests.support.recording_monitor import Graph, Secret

ISSUER = OidcIssuer(
    issuer="https://login.example.org",
    audience="platform",
    keys_url="https://login.example.org/keys",
    scope_claim="scp",
)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return declare_one(Api, instance="api")


def environment(graph: Graph) -> dict[str, str]:
    """Return what the server would see, with something in place of what the cluster fills in."""
    env = pods.env_of(pods.containers_of(graph.object("Deployment", "api"))["server"])
    filled = {key: value if isinstance(value, str) else "filled" for key, value in env.items()}
    return {**filled, "DATABASE_PORT": "5432"}


@pytest.mark.parametrize("oidc", [None, ISSUER], ids=["own tokens", "issuer"])
def test_server_accepts_its_environment_when_it_starts(oidc: OidcIssuer | None) -> None:
    given = environment(declare_one(Api, instance="api", oidc=oidc))
    settings = load_settings(given)
    assert settings.public_host == "api.example.org"
    assert settings.prometheus_url == "http://prometheus:9090"
    assert (settings.oidc is not None) == (oidc is not None)
    assert DatabaseSettings.from_environment(given).host == "filled"


def test_tokens_are_three_different_secrets_and_mounted_where_they_are_sought_when_made(graph: Graph) -> None:
    tokens = graph.object("Secret", "api-tokens")
    assert isinstance(tokens.inputs["stringData"], Secret)
    values = tokens.manifest["stringData"]
    assert set(values) == {"read", "write", "decide"}
    assert len(set(values.values())) == 3
    assert min(map(len, values.values())) >= 32
    deployment = graph.object("Deployment", "api")
    (volume,) = [item for item in pods.template_of(deployment)["spec"]["volumes"] if item["name"] == "tokens"]
    assert volume["secret"]["secretName"] == "api-tokens"
    mounts = {item["name"]: item for item in pods.containers_of(deployment)["server"]["volumeMounts"]}
    assert mounts["tokens"]["mountPath"] == environment(graph)["TOKENS_DIR"]
    assert mounts["tokens"]["readOnly"] is True


def test_api_may_write_experiments_and_read_routes_and_nothing_else_when_it_runs(graph: Graph) -> None:
    rules = graph.object("Role", "api-role").manifest["rules"]
    assert [(rule["apiGroups"], rule["resources"], rule["verbs"]) for rule in rules] == [
        (["mlplatform.dev"], ["abtests"], ["get", "list", "create", "patch"]),
        (["networking.istio.io"], ["virtualservices"], ["get", "list"]),
    ]


def test_the_world_may_be_called_only_when_there_is_an_issuer(graph: Graph) -> None:
    assert "api-issuer" not in {item.name for item in graph.of_kind("NetworkPolicy")}
    with_issuer = declare_one(Api, instance="api", oidc=ISSUER)
    (rule,) = with_issuer.object("NetworkPolicy", "api-issuer").manifest["spec"]["egress"]
    assert rule == {"ports": [{"port": 443, "protocol": "TCP"}]}


def test_traffic_and_health_have_separate_probes_when_declared(graph: Graph) -> None:
    server = pods.containers_of(graph.object("Deployment", "api"))["server"]
    assert server["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http-api"}
    assert server["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http-api"}


def test_schema_is_migrated_by_a_job_with_the_databases_secret_when_declared() -> None:
    (job,) = declare_one(EventStore).of_kind("Job")
    migration = pods.containers_of(job)["migration"]
    assert migration["command"] == ["python3", "-m", "ml.events", "migrate"]
    env = pods.env_of(migration)
    keys = {name: value["secretKeyRef"]["key"] for name, value in env.items() if name.startswith("DATABASE_")}
    assert keys == {
        "DATABASE_HOST": "host",
        "DATABASE_PORT": "port",
        "DATABASE_NAME": "dbname",
        "DATABASE_USER": "username",
        "DATABASE_PASSWORD": "password",
    }
