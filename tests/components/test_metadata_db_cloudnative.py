"""What is declared of a database that CloudNativePG runs, alone; tests/stack has the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components._backups import BackupStore
from components._database import Authority, authority_mounts, authority_volumes
from components._database_cluster import Restore
from components._workload import Resources
from components.metadata_db import MetadataDb
from components.metadata_db_cloudnative import CloudNativeMetadataDb
from tests.support import schemas
from tests.support.catalogue import declare_one
from tests.support.recording_monitor import Graph


@pytest.fixture(scope="module")
def graph() -> Graph:
    return declare_one(CloudNativeMetadataDb, instance="db")


def cluster(**changes: Any) -> dict[str, Any]:
    return declare_one(CloudNativeMetadataDb, instance="db", **changes).object("Cluster", "db").manifest["spec"]


def test_exactly_these_objects_are_declared_when_there_are_two_consumers(graph: Graph) -> None:
    assert sorted((item.kind, item.object_name or item.name) for item in graph.kubernetes_objects()) == [
        ("Cluster", "db"),
        ("Database", "db-events"),
        ("Database", "db-mlflow"),
        ("DatabaseRole", "db-events"),
        ("DatabaseRole", "db-exporter"),
        ("DatabaseRole", "db-mlflow"),
        ("NetworkPolicy", "db-access"),
        ("NetworkPolicy", "db-among"),
        ("NetworkPolicy", "db-backups"),
        ("NetworkPolicy", "db-kubernetes"),
        ("NetworkPolicy", "db-offer"),
        ("NetworkPolicy", "db-operator"),
        ("ObjectStore", "db"),
        ("ScheduledBackup", "db-daily"),
        ("Secret", "db-events"),
        ("Secret", "db-exporter"),
        ("Secret", "db-mlflow"),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"instances": 1, "apart": False, "storage_class": None},
        {"restore": Restore(source="db-1", moment="2026-11-26T10:15:00Z"), "archive": "db-2"},
        {"restore": Restore(source="db-1", moment=None), "archive": "db-2"},
        {"backups": BackupStore(folder="s3://b/f", region="x", secret="keys", endpoint="http://s3:9000")},
    ],
    ids=["three servers", "one server", "up to a moment", "up to the end", "with keys"],
)
def test_objects_fit_the_operators_definitions_when_checked(changes: dict[str, Any]) -> None:
    declared = declare_one(CloudNativeMetadataDb, instance="db", **changes).kubernetes_objects()
    custom = [item.manifest for item in declared if "cnpg.io" in item.manifest["apiVersion"]]
    assert len(custom) == 8
    for manifest in custom:
        schemas.check_custom(manifest)


def test_clients_have_the_same_secrets_but_for_the_address_when_compared_with_a_pod(graph: Graph) -> None:
    pod = declare_one(MetadataDb, instance="db")
    for client in ("mlflow", "events", "exporter"):
        here, there = (found.object("Secret", f"db-{client}").manifest for found in (pod, graph))
        data = there["stringData"]
        assert {**here["stringData"], "host": data["host"], "uri": data["uri"]} == data
        assert data["host"] == "db-rw"
        assert data["uri"] == here["stringData"]["uri"].replace("@db:", "@db-rw:") + "?sslmode=verify-full"
        assert there["metadata"]["labels"]["cnpg.io/reload"] == "true"


def test_each_client_reaches_its_own_database_with_tls_only_when_declared() -> None:
    assert cluster()["postgresql"]["pg_hba"] == [
        "hostssl postgres exporter all scram-sha-256",
        "hostssl mlflow mlflow all scram-sha-256",
        "hostssl events events all scram-sha-256",
        "host all all all reject",
    ]


def test_nobody_is_administrator_over_the_network_when_declared(graph: Graph) -> None:
    assert cluster()["enableSuperuserAccess"] is False
    for role in ("mlflow", "events", "exporter"):
        spec = graph.object("DatabaseRole", f"db-{role}").manifest["spec"]
        assert not any(spec[right] for right in ("superuser", "createdb", "createrole", "replication", "bypassrls"))
        assert (spec["name"], spec["passwordSecret"]) == (role, {"name": f"db-{role}"})
        assert spec.get("inRoles") == (["pg_monitor"] if role == "exporter" else None)


def test_data_stay_when_a_database_or_role_is_no_longer_declared(graph: Graph) -> None:
    for consumer in ("mlflow", "events"):
        spec = graph.object("Database", f"db-{consumer}").manifest["spec"]
        assert (spec["name"], spec["owner"], spec["databaseReclaimPolicy"]) == (consumer, consumer, "retain")
        role = graph.object("DatabaseRole", f"db-{consumer}").manifest["spec"]
        assert role["databaseRoleReclaimPolicy"] == "retain"
    (protected,) = [item for item in graph.kubernetes_objects() if item.kind == "Cluster"]
    assert protected.protect


def test_no_commit_is_lost_with_one_server_when_there_are_three() -> None:
    assert cluster()["postgresql"]["synchronous"] == {"method": "any", "number": 1, "dataDurability": "required"}
    # With two a commit would wait for the other one, which may be away.
    assert "synchronous" not in cluster(instances=2)["postgresql"]


def test_only_server_does_not_keep_its_node_from_being_emptied_when_alone() -> None:
    assert (cluster()["enablePDB"], cluster()["primaryUpdateMethod"]) == (True, "switchover")
    assert (cluster(instances=1)["enablePDB"], cluster(instances=1)["primaryUpdateMethod"]) == (False, "restart")


@pytest.mark.parametrize(
    ("apart", "nodes", "zones"), [(True, "required", "DoNotSchedule"), (False, "preferred", "ScheduleAnyway")]
)
def test_servers_are_apart_as_far_as_they_must_be_when_placed(apart: bool, nodes: str, zones: str) -> None:
    spec = cluster(apart=apart)
    assert spec["affinity"]["podAntiAffinityType"] == nodes
    (spread,) = spec["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", zones)
    assert spread["labelSelector"]["matchLabels"] == {"cnpg.io/cluster": "db", "cnpg.io/podRole": "instance"}


def test_every_change_and_a_backup_a_day_are_kept_when_declared(graph: Graph) -> None:
    (plugin,) = cluster()["plugins"]
    assert plugin["isWALArchiver"] is True
    assert plugin["parameters"] == {"barmanObjectName": "db", "serverName": "db-1"}
    store = graph.object("ObjectStore", "db").manifest["spec"]
    assert store["retentionPolicy"] == "21d"
    assert store["configuration"]["destinationPath"] == "s3://backups/db"
    plan = graph.object("ScheduledBackup", "db-daily").manifest["spec"]
    # Six fields: with five the first would be taken for seconds.
    assert len(plan["schedule"].split()) == 6
    assert (plan["method"], plan["cluster"]) == ("plugin", {"name": "db"})
    assert plan["pluginConfiguration"]["name"] == plugin["name"]


def test_pods_show_who_they_are_instead_of_keys_when_the_store_knows_them(graph: Graph) -> None:
    configuration = graph.object("ObjectStore", "db").manifest["spec"]["configuration"]
    assert configuration["s3Credentials"] == {"inheritFromIAMRole": True}
    assert "endpointURL" not in configuration


def test_keys_are_taken_from_a_secret_when_the_store_has_some() -> None:
    store = BackupStore(
        folder="s3://b/f", region="x", secret="keys", endpoint="http://s3:9000", pod_labels={"to": "s3"}
    )
    declared = declare_one(CloudNativeMetadataDb, instance="db", backups=store)
    configuration = declared.object("ObjectStore", "db").manifest["spec"]["configuration"]
    assert configuration["endpointURL"] == "http://s3:9000"
    assert configuration["s3Credentials"] == {
        "accessKeyId": {"name": "keys", "key": "access-key"},
        "secretAccessKey": {"name": "keys", "key": "secret-key"},
    }
    assert declared.object("Cluster", "db").manifest["spec"]["inheritedMetadata"]["labels"]["to"] == "s3"
    # What reaches the store inside the namespace needs no way out of it.
    assert not [item for item in declared.of_kind("NetworkPolicy") if item.name == "db-backups"]


def test_new_cluster_begins_with_the_first_consumers_database_when_nothing_is_restored() -> None:
    bootstrap = cluster()["bootstrap"]
    assert set(bootstrap) == {"initdb"}
    assert bootstrap["initdb"]["secret"] == {"name": "db-mlflow"}
    assert (bootstrap["initdb"]["localeProvider"], bootstrap["initdb"]["builtinLocale"]) == ("builtin", "C.UTF-8")
    assert "externalClusters" not in cluster()


@pytest.mark.parametrize(
    ("moment", "target"),
    [("2026-11-26T10:15:00Z", {"recoveryTarget": {"targetTime": "2026-11-26T10:15:00Z"}}), (None, {})],
)
def test_cluster_takes_over_the_past_and_writes_its_own_beside_it_when_restored(
    moment: str | None, target: dict[str, Any]
) -> None:
    spec = cluster(restore=Restore(source="db-1", moment=moment), archive="db-2")
    assert spec["bootstrap"] == {
        "recovery": {
            "source": "db-1",
            "database": "mlflow",
            "owner": "mlflow",
            "secret": {"name": "db-mlflow"},
            **target,
        }
    }
    (source,) = spec["externalClusters"]
    assert source["name"] == "db-1"
    assert source["plugin"]["parameters"] == {"barmanObjectName": "db", "serverName": "db-1"}
    assert spec["plugins"][0]["parameters"]["serverName"] == "db-2"


def test_operator_and_clients_reach_the_servers_and_nobody_else_when_declared(graph: Graph) -> None:
    operator = graph.object("NetworkPolicy", "db-operator").manifest["spec"]
    assert operator["podSelector"] == {"matchLabels": {"cnpg.io/cluster": "db"}}
    (rule,) = operator["ingress"]
    (peer,) = rule["from"]
    assert peer["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "cnpg-system"}}
    assert peer["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "cloudnative-pg"}}
    assert [port["port"] for port in rule["ports"]] == [8000, 5432]
    offer = graph.object("NetworkPolicy", "db-offer").manifest["spec"]
    assert offer["ingress"][0]["from"] == [{"podSelector": {"matchLabels": {"mlplatform.dev/access-db": "true"}}}]


def test_only_the_certificate_of_the_authoritys_secret_gets_into_a_pod_when_mounted() -> None:
    authority = Authority(name="db-ca", secret_key="ca.crt")
    (volume,) = authority_volumes(authority)
    assert authority_mounts(authority) == {"/etc/database-authority": volume.name}
    secret: Any = volume.secret
    assert (secret.secret_name, secret.default_mode) == ("db-ca", 0o440)
    assert [(item.key, item.path) for item in secret.items] == [("ca.crt", "authorities.pem")]


def test_no_password_is_in_a_custom_resource_when_declared(graph: Graph) -> None:
    password = graph.object("Secret", "db-mlflow").manifest["stringData"]["password"]
    custom = [item.manifest for item in graph.kubernetes_objects() if "cnpg.io" in item.manifest["apiVersion"]]
    assert password not in json.dumps(custom)
    assert password not in json.dumps([*graph.outputs.values()], default=str)


def test_resources_are_the_servers_when_given() -> None:
    spec = cluster(resources=Resources(cpu_millis=1500, memory_mib=1000, memory_limit_mib=2000))
    assert spec["resources"] == {"requests": {"cpu": "1500m", "memory": "1000Mi"}, "limits": {"memory": "2000Mi"}}
    assert spec["postgresql"]["parameters"]["shared_buffers"] == "250MB"
    assert spec["postgresql"]["parameters"]["max_connections"] == "123"
    assert (spec["storage"], spec["walStorage"]) == (
        {"size": "7Gi", "storageClass": "fast"},
        {"size": "2Gi", "storageClass": "fast"},
    )
