"""A whole stack whose database CloudNativePG runs: on somebody's cluster, and on AWS.

What this does not prove: that the operator, its plugin or AWS act on any of it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from ml.cli.outputs import parse_outputs
from ml.cli.render import graph as rendered
from ml.cli.render.workload import demanded, disks_gib
from policies.render.__main__ import lines
from tests.support import pods, schemas
from tests.support.network import Network, Pod
from tests.support.recording_monitor import Graph, reveal
from tests.support.stacks import DATABASE_CLUSTER, DATABASE_CLUSTER_IN_CLOUD, STACKS, StackUnderTest

NAMESPACE = "free-deep-research"
SERVER = Pod(
    namespace=NAMESPACE,
    labels={
        "cnpg.io/cluster": "metadata-db",
        "cnpg.io/podRole": "instance",
        "app.kubernetes.io/name": "postgresql",
        "mlplatform.dev/access-object-store": "true",
    },
)
"""As the operator labels it, with what the Cluster hands on."""


def spec(graph: Graph, kind: str, name: str) -> dict[str, Any]:
    return graph.object(kind, name).manifest["spec"]


def pod_of(graph: Graph, name: str) -> Pod:
    (item,) = [item for item in pods.workloads(graph) if item.object_name == name]
    return Pod(namespace=NAMESPACE, labels=pods.template_of(item)["metadata"]["labels"])


def test_operators_objects_fit_their_definitions_when_checked(any_database_cluster: Graph) -> None:
    manifests = [
        item.manifest for item in any_database_cluster.kubernetes_objects() if "cnpg.io/" in item.manifest["apiVersion"]
    ]
    kinds = sorted(manifest["kind"] for manifest in manifests)
    assert kinds == ["Cluster", *["Database"] * 2, *["DatabaseRole"] * 3, "ObjectStore", "ScheduledBackup"]
    for manifest in manifests:
        schemas.check_custom(manifest)


def test_there_is_one_database_only_when_an_operator_runs_it(any_database_cluster: Graph) -> None:
    names = {
        item.object_name
        for item in any_database_cluster.kubernetes_objects()
        if item.kind in {"StatefulSet", "Job", "Service"}
    }
    assert not {"metadata-db", "metadata-db-bootstrap"} & names
    assert not any_database_cluster.of_type("aws:rds/instance:Instance")


def test_rest_of_the_stack_is_the_same_when_an_operator_runs_the_database(database_cluster: Graph) -> None:
    def others(graph: Graph) -> set[tuple[str, str]]:
        return {(item.kind, item.name) for item in graph.kubernetes_objects()}

    before, now = others(STACKS["dev"].run()), others(database_cluster)
    gone, added = before - now, now - before
    assert gone == {
        ("StatefulSet", "metadata-db"),
        ("Service", "metadata-db"),
        ("Secret", "metadata-db-admin"),
        ("Job", "metadata-db-bootstrap"),
    }
    assert {name for _, name in added if not name.startswith(("metadata-db", "prometheus-"))} == {
        "object-store-backups"
    }


def test_every_client_wants_the_operators_certificate_and_name_when_deployed(any_database_cluster: Graph) -> None:
    clients = [
        item
        for item in pods.workloads(any_database_cluster)
        if "mlplatform.dev/access-metadata-db" in pods.template_of(item)["metadata"]["labels"]
    ]
    assert len(clients) == 6
    for item in clients:
        (container,) = pods.containers_of(item).values()
        text = json.dumps(reveal(container))
        assert "verify-full" in text, item.name
        assert "sslmode=disable" not in text, item.name
        (volume,) = [
            entry for entry in pods.template_of(item)["spec"]["volumes"] if entry["name"] == "database-authority"
        ]
        # The Secret has the authority's key as well, which must not get into a pod.
        assert volume["secret"]["secretName"] == "metadata-db-ca"
        assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "authorities.pem"}]
    assert (
        any_database_cluster.object("Secret", "metadata-db-mlflow").manifest["stringData"]["host"] == "metadata-db-rw"
    )


@pytest.mark.parametrize(
    ("client", "port", "expected"),
    [
        ("api", 5432, True),
        ("tracking-server", 5432, True),
        ("database-exporter", 5432, True),
        ("prometheus", 9187, True),
        ("prometheus", 5432, False),
        ("api", 8000, False),
        ("object-store", 5432, False),
    ],
)
def test_who_may_reach_a_server_does_and_nobody_else_when_deployed(
    database_cluster: Graph, client: str, port: int, expected: bool
) -> None:
    assert Network(database_cluster).lets(pod_of(database_cluster, client), SERVER, port) == expected


@pytest.mark.parametrize(
    ("namespace", "name", "port", "expected"),
    [
        ("cnpg-system", "cloudnative-pg", 8000, True),
        ("cnpg-system", "cloudnative-pg", 5432, True),
        ("cnpg-system", "plugin-barman-cloud", 8000, False),
        ("somewhere", "cloudnative-pg", 8000, False),
        ("istio-system", "istio-ingressgateway", 5432, False),
    ],
)
def test_of_other_namespaces_the_operator_alone_reaches_a_server_when_deployed(
    any_database_cluster: Graph, namespace: str, name: str, port: int, expected: bool
) -> None:
    outside = Pod(namespace=namespace, labels={"app.kubernetes.io/name": name})
    assert Network(any_database_cluster).lets(outside, SERVER, port) == expected


def test_servers_reach_each_other_and_the_store_of_their_backups_when_deployed(database_cluster: Graph) -> None:
    network = Network(database_cluster)
    assert network.lets(SERVER, SERVER, 5432)
    assert network.lets(SERVER, SERVER, 8000)
    assert network.lets(SERVER, pod_of(database_cluster, "object-store"), 9000)
    assert not network.lets(SERVER, pod_of(database_cluster, "tracking-server"), 5000)


def test_servers_are_measured_and_alerted_of_when_deployed(any_database_cluster: Graph) -> None:
    files = {
        name: yaml.safe_load(text)
        for item in any_database_cluster.of_kind("ConfigMap")
        for name, text in item.manifest["data"].items()
        if name in {"prometheus.yaml", "platform.yaml"}
    }
    (job,) = [job for job in files["prometheus.yaml"]["scrape_configs"] if job["job_name"] == "metadata-db-cluster"]
    (query,) = job["dns_sd_configs"]
    finder = query["names"][0].partition(".")[0]
    assert spec(any_database_cluster, "Service", finder)["selector"] == {
        "cnpg.io/cluster": "metadata-db",
        "cnpg.io/podRole": "instance",
    }
    assert query["port"] == 9187
    (group,) = [group for group in files["platform.yaml"]["groups"] if group["name"] == "database"]
    assert any("< 3" in rule["expr"] for rule in group["rules"])


def test_nobody_is_alerted_of_servers_that_there_are_not_when_the_database_is_a_pod() -> None:
    rules = [
        text
        for item in STACKS["dev"].run().of_kind("ConfigMap")
        for name, text in item.manifest["data"].items()
        if name == "platform.yaml"
    ]
    assert "DatabaseBackupMissing" not in "".join(rules)


def test_backups_have_a_bucket_and_a_key_of_their_own_when_the_store_is_the_platforms(database_cluster: Graph) -> None:
    configuration = spec(database_cluster, "ObjectStore", "metadata-db")["configuration"]
    assert configuration["destinationPath"] == "s3://backups/metadata-db"
    assert configuration["s3Credentials"]["accessKeyId"]["name"] == "object-store-backups"
    data = database_cluster.object("Secret", "object-store-backups").manifest["stringData"]
    assert (data["bucket"], configuration["endpointURL"]) == ("backups", data["endpoint"])
    told = database_cluster.stack_outputs["objectStore"]["consumers"]
    assert told["backups"] == {"bucket": "backups", "secret": "object-store-backups"}


def test_backups_go_elsewhere_with_a_secret_key_when_the_settings_say_so() -> None:
    outside = {"destination": "s3://far/ml", "endpoint": "https://s3.example.org", "accessKey": "AK1", "region": "west"}
    stack = StackUnderTest(
        name="dev",
        added={
            **DATABASE_CLUSTER.added,
            "metadataDb": {"kind": "cloudNativePg", "cluster": {"external": outside}},
            "backupSecret": "what only the store knows",
        },
    )
    graph = stack.run(encrypted=("backupSecret",))
    store = spec(graph, "ObjectStore", "metadata-db")
    assert store["configuration"]["destinationPath"] == "s3://far/ml"
    assert store["instanceSidecarConfiguration"]["env"] == [{"name": "AWS_DEFAULT_REGION", "value": "west"}]
    assert store["configuration"]["s3Credentials"]["secretAccessKey"]["name"] == "metadata-db-backups"
    assert graph.object("Secret", "metadata-db-backups").manifest["stringData"] == {
        "access-key": "AK1",
        "secret-key": "what only the store knows",
    }
    assert "backups" not in graph.stack_outputs["objectStore"]["consumers"]
    assert not Network(graph).lets(
        Pod(namespace=NAMESPACE, labels={"cnpg.io/cluster": "metadata-db"}), pod_of(graph, "object-store"), 9000
    )


def test_commands_find_the_database_in_what_the_stack_tells_when_deployed(any_database_cluster: Graph) -> None:
    told = json.loads(json.dumps(reveal(dict(any_database_cluster.stack_outputs)), default=str))
    found = parse_outputs(told).metadata_db
    assert (found.service, found.host, found.workload, found.admin_secret) == (
        "metadata-db-rw",
        "metadata-db-rw",
        "",
        "",
    )
    assert told["images"]["postgres-cluster"].startswith("ghcr.io/cloudnative-pg/postgresql:18")


def test_what_the_operator_makes_is_not_judged_as_if_people_had_made_it_when_deployed(
    any_database_cluster: Graph,
) -> None:
    found = any_database_cluster.of_kind("ValidatingAdmissionPolicy")
    assert found
    for item in found:
        conditions = {entry["name"]: entry["expression"] for entry in item.manifest["spec"]["matchConditions"]}
        assert 'startsWith("system:serviceaccount:cnpg-system:")' in conditions["not-made-by-cnpg-system"]
    plain = STACKS["dev"].run().of_kind("ValidatingAdmissionPolicy")
    assert not any("cnpg" in json.dumps(item.manifest) for item in plain)


def test_cost_counts_every_server_and_both_of_its_disks_when_estimated() -> None:
    def asked(stack: StackUnderTest) -> tuple[float, float]:
        found = rendered.parse("\n".join(lines(stack.run(preview=True))), stack.name)
        return demanded(found).cpus, disks_gib(found)

    (cpus, disks), (pod_cpus, pod_disks) = asked(DATABASE_CLUSTER_IN_CLOUD), asked(STACKS["staging"])
    assert cpus - pod_cpus == pytest.approx(2 * 0.5)
    assert disks - pod_disks == pytest.approx(3 * (20 + 10) - 20)
