"""What the platform keeps of a database that a cloud runs, and the cloud's half of it, alone. tests/stack shows them
together, test_database_tls.py against a real server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.database_alarms import DatabaseAlarms
from components.metadata_db import MetadataDb
from components.metadata_db_managed import ManagedMetadataDb
from components.metadata_db_rds import MetadataDbRds
from tests.support import pods
from tests.support.catalogue import declare_one
from tests.support.catalogue_cloud import AUTHORITIES
from tests.support.recording_monitor import Graph, reveal


@pytest.fixture(scope="module")
def graph() -> Graph:
    return declare_one(ManagedMetadataDb, instance="db")


def instance(*, protect: bool) -> dict[str, Any]:
    (found,) = declare_one(MetadataDbRds, protect=protect).of_type("aws:rds/instance:Instance")
    return reveal(dict(found.inputs))


def test_exactly_these_objects_are_declared_when_there_are_two_consumers(graph: Graph) -> None:
    assert sorted((item.kind, item.name) for item in graph.kubernetes_objects()) == [
        ("ConfigMap", "db-authorities"),
        ("Job", "db-bootstrap"),
        ("NetworkPolicy", "db-access"),
        ("Secret", "db-admin"),
        ("Secret", "db-events"),
        ("Secret", "db-exporter"),
        ("Secret", "db-mlflow"),
    ]


def test_clients_have_the_same_secrets_but_for_the_address_when_the_server_is_elsewhere(graph: Graph) -> None:
    pod = declare_one(MetadataDb, instance="db")
    for client in ("mlflow", "events", "exporter"):
        here, there = (found.object("Secret", f"db-{client}").manifest["stringData"] for found in (pod, graph))
        assert {**here, "host": there["host"], "uri": there["uri"]} == there
        assert there["host"] == "db.example.org"
        assert there["uri"] == here["uri"].replace("@db:", "@db.example.org:") + "?sslmode=verify-full"


def test_bootstrap_is_the_same_but_for_where_it_goes_when_the_server_is_elsewhere(graph: Graph) -> None:
    def bootstrap(found: Graph) -> dict[str, Any]:
        return pods.containers_of(found.object("Job", "db-bootstrap"))["bootstrap"]

    here, there = bootstrap(declare_one(MetadataDb, instance="db")), bootstrap(graph)
    assert there["command"] == here["command"]
    changed = {
        "PGHOST": "db.example.org",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/etc/database-authority/authorities.pem",
    }
    assert pods.env_of(there) == {**pods.env_of(here), **changed}


def test_authorities_are_a_file_of_every_client_when_declared(graph: Graph) -> None:
    authorities = graph.object("ConfigMap", "db-authorities").manifest
    assert authorities["data"] == {"authorities.pem": AUTHORITIES}
    volumes = pods.template_of(graph.object("Job", "db-bootstrap"))["spec"]["volumes"]
    (volume,) = [item for item in volumes if "configMap" in item]
    assert volume["name"] == "database-authority"


def test_clients_may_send_to_the_servers_addresses_only_when_declared(graph: Graph) -> None:
    policy = graph.object("NetworkPolicy", "db-access").manifest["spec"]
    assert policy["podSelector"] == {"matchLabels": {"mlplatform.dev/access-db": "true"}}
    assert policy["policyTypes"] == ["Egress"]
    assert policy["egress"] == [
        {"to": [{"ipBlock": {"cidr": "10.8.252.0/24"}}], "ports": [{"port": 5432, "protocol": "TCP"}]}
    ]


@pytest.mark.parametrize(
    ("version", "follows", "family"),
    [("18", True, "postgres18"), ("18.1", False, "postgres18"), ("17", True, "postgres17")],
)
def test_smaller_versions_follow_by_themselves_when_only_the_major_one_is_named(
    version: str, follows: bool, family: str
) -> None:
    declared = declare_one(MetadataDbRds, engine_version=version)
    (server,) = declared.of_type("aws:rds/instance:Instance")
    (group,) = declared.of_type("aws:rds/parameterGroup:ParameterGroup")
    assert server.inputs["autoMinorVersionUpgrade"] is follows
    assert server.inputs["allowMajorVersionUpgrade"] is False
    assert group.inputs["family"] == family
    assert group.inputs["name"].endswith(f"-{family.removeprefix('postgres')}")


def test_server_goes_without_a_trace_when_its_data_are_not_protected() -> None:
    kept, gone = instance(protect=True), instance(protect=False)
    assert (kept["deletionProtection"], kept["skipFinalSnapshot"], kept["deleteAutomatedBackups"]) == (
        True,
        False,
        False,
    )
    assert (gone["deletionProtection"], gone["skipFinalSnapshot"], gone["deleteAutomatedBackups"]) == (
        False,
        True,
        True,
    )


def test_statements_stay_out_of_the_servers_log_when_declared() -> None:
    (group,) = declare_one(MetadataDbRds).of_type("aws:rds/parameterGroup:ParameterGroup")
    values = {item["name"]: item["value"] for item in group.inputs["parameters"]}
    assert (values["log_statement"], values["log_min_error_statement"]) == ("none", "panic")


def test_credits_are_watched_when_the_class_saves_processor_time_only() -> None:
    def metrics(instance_class: str) -> set[str]:
        alarms = declare_one(DatabaseAlarms, instance_class=instance_class).of_type(
            "aws:cloudwatch/metricAlarm:MetricAlarm"
        )
        return {item.inputs["metricName"] for item in alarms}

    assert metrics("db.t4g.medium") == {"FreeStorageSpace", "CPUCreditBalance"}
    assert metrics("db.m6g.large") == {"FreeStorageSpace"}


def test_password_is_in_no_output_of_the_server_when_declared() -> None:
    declared = declare_one(MetadataDbRds)
    assert "the administrator's password" not in json.dumps([reveal(dict(out)) for out in declared.outputs.values()])
