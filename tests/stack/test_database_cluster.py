"""A whole stack whose database CloudNativePG runs: on somebody's cluster, and on AWS with a bucket for backups.

What this does not prove: that the operator, its plugin or AWS act on any of it.
"""

from __future__ import annotations

import functools
import json
import re
import shlex
from typing import Any

import pytest
import yaml

from ml.cli.outputs import parse_outputs
from ml.cli.render import graph as rendered
from ml.cli.render.workload import demanded, disks_gib
from policies.render.__main__ import lines
from tests.support import pods, schemas
from tests.support.iam import Account, Request
from tests.support.network import Network, Pod
from tests.support.recording_monitor import Graph, reveal
from tests.support.stacks import DATABASE_CLUSTER, DATABASE_CLUSTER_IN_CLOUD, ROOT, STACKS, StackUnderTest

NAMESPACE = "free-deep-research"
STACK, ACCOUNT_ID = "mlplatform-staging", "111122223333"
BACKUPS = f"arn:aws:s3:::{STACK}-backups-{ACCOUNT_ID}"
ARTIFACTS = f"arn:aws:s3:::{STACK}-artifacts-{ACCOUNT_ID}"
TLS = {"aws:SecureTransport": "true"}
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


_VARIANTS = {"given": DATABASE_CLUSTER, "cloud": DATABASE_CLUSTER_IN_CLOUD}


@functools.cache
def graph_of(variant: str) -> Graph:
    return _VARIANTS[variant].run()


@pytest.fixture
def given() -> Graph:
    """Somebody's cluster."""
    return graph_of("given")


@pytest.fixture
def cloud() -> Graph:
    """A cluster of the stack's own on AWS."""
    return graph_of("cloud")


@pytest.fixture(params=sorted(_VARIANTS))
def either(request: pytest.FixtureRequest) -> Graph:
    return graph_of(request.param)


def spec(graph: Graph, kind: str, name: str) -> dict[str, Any]:
    return graph.object(kind, name).manifest["spec"]


def pod_of(graph: Graph, name: str) -> Pod:
    (item,) = [item for item in pods.workloads(graph) if item.object_name == name]
    return Pod(namespace=NAMESPACE, labels=pods.template_of(item)["metadata"]["labels"])


def test_operators_objects_fit_their_definitions_when_checked(either: Graph) -> None:
    manifests = [item.manifest for item in either.kubernetes_objects() if "cnpg.io/" in item.manifest["apiVersion"]]
    kinds = sorted(manifest["kind"] for manifest in manifests)
    assert kinds == ["Cluster", *["Database"] * 2, *["DatabaseRole"] * 3, "ObjectStore", "ScheduledBackup"]
    for manifest in manifests:
        schemas.check_custom(manifest)


def test_there_is_one_database_only_when_an_operator_runs_it(either: Graph) -> None:
    names = {item.object_name for item in either.kubernetes_objects() if item.kind in {"StatefulSet", "Job", "Service"}}
    assert not {"metadata-db", "metadata-db-bootstrap"} & names
    assert not either.of_type("aws:rds/instance:Instance")


def test_rest_of_the_stack_is_the_same_when_an_operator_runs_the_database(given: Graph) -> None:
    def others(graph: Graph) -> set[tuple[str, str]]:
        return {(item.kind, item.name) for item in graph.kubernetes_objects()}

    before, now = others(STACKS["dev"].run()), others(given)
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


def test_every_client_wants_the_operators_certificate_and_name_when_deployed(either: Graph) -> None:
    clients = [
        item
        for item in pods.workloads(either)
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
    assert either.object("Secret", "metadata-db-mlflow").manifest["stringData"]["host"] == "metadata-db-rw"


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
    given: Graph, client: str, port: int, expected: bool
) -> None:
    assert Network(given).lets(pod_of(given, client), SERVER, port) == expected


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
    either: Graph, namespace: str, name: str, port: int, expected: bool
) -> None:
    outside = Pod(namespace=namespace, labels={"app.kubernetes.io/name": name})
    assert Network(either).lets(outside, SERVER, port) == expected


def test_servers_reach_each_other_and_the_store_of_their_backups_when_deployed(given: Graph) -> None:
    network = Network(given)
    assert network.lets(SERVER, SERVER, 5432)
    assert network.lets(SERVER, SERVER, 8000)
    assert network.lets(SERVER, pod_of(given, "object-store"), 9000)
    assert not network.lets(SERVER, pod_of(given, "tracking-server"), 5000)


def test_servers_are_measured_and_alerted_of_when_deployed(either: Graph) -> None:
    files = {
        name: yaml.safe_load(text)
        for item in either.of_kind("ConfigMap")
        for name, text in item.manifest["data"].items()
        if name in {"prometheus.yaml", "platform.yaml"}
    }
    (job,) = [job for job in files["prometheus.yaml"]["scrape_configs"] if job["job_name"] == "metadata-db-cluster"]
    (query,) = job["dns_sd_configs"]
    finder = query["names"][0].partition(".")[0]
    assert spec(either, "Service", finder)["selector"] == {
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


def test_backups_have_a_bucket_and_a_key_of_their_own_when_the_store_is_the_platforms(given: Graph) -> None:
    configuration = spec(given, "ObjectStore", "metadata-db")["configuration"]
    assert configuration["destinationPath"] == "s3://backups/metadata-db"
    assert configuration["s3Credentials"]["accessKeyId"]["name"] == "object-store-backups"
    data = given.object("Secret", "object-store-backups").manifest["stringData"]
    assert (data["bucket"], configuration["endpointURL"]) == ("backups", data["endpoint"])
    told = given.stack_outputs["objectStore"]["consumers"]
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


def test_commands_find_the_database_in_what_the_stack_tells_when_deployed(either: Graph) -> None:
    told = json.loads(json.dumps(reveal(dict(either.stack_outputs)), default=str))
    found = parse_outputs(told).metadata_db
    assert (found.service, found.host, found.workload, found.admin_secret) == (
        "metadata-db-rw",
        "metadata-db-rw",
        "",
        "",
    )
    assert told["images"]["postgres-cluster"].startswith("ghcr.io/cloudnative-pg/postgresql:18")


def test_what_the_operator_makes_is_not_judged_as_if_people_had_made_it_when_deployed(either: Graph) -> None:
    found = either.of_kind("ValidatingAdmissionPolicy")
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


# On AWS -------------------------------------------------------------------------------------------------------------


def may(graph: Graph, who: str, action: str, resource: str, context: dict[str, str]) -> bool:
    principal = f"arn:aws:iam::{ACCOUNT_ID}:role/{STACK}-{who}"
    return Account(graph).allows(Request(principal=principal, action=action, resource=resource, context=context))


def test_servers_have_no_key_when_the_store_is_the_clouds(cloud: Graph) -> None:
    configuration = spec(cloud, "ObjectStore", "metadata-db")["configuration"]
    assert configuration["s3Credentials"] == {"inheritFromIAMRole": True}
    assert configuration["destinationPath"] == f"{BACKUPS.replace('arn:aws:s3:::', 's3://')}/metadata-db"
    (identity,) = [
        reveal(dict(item.inputs))
        for item in cloud.of_type("aws:eks/podIdentityAssociation:PodIdentityAssociation")
        if item.inputs["serviceAccount"] == "metadata-db"
    ]
    assert identity["namespace"] == NAMESPACE


@pytest.mark.parametrize(
    ("who", "action", "resource", "context"),
    [
        ("metadata-db", "s3:ListBucket", BACKUPS, TLS),
        ("metadata-db", "s3:PutObject", f"{BACKUPS}/metadata-db/metadata-db-1/wals/1", TLS),
        ("metadata-db", "s3:GetObject", f"{BACKUPS}/metadata-db/metadata-db-1/base/1/data.tar.gz", TLS),
        ("metadata-db", "s3:DeleteObject", f"{BACKUPS}/metadata-db/metadata-db-1/wals/1", TLS),
        ("metadata-db", "kms:GenerateDataKey", "data-key", {}),
        ("metadata-db", "kms:Decrypt", "data-key", {}),
        ("metadata-db", "kms:Decrypt", "replica-key", {}),
        ("replication", "s3:ReplicateObject", f"{BACKUPS}-replica/metadata-db/a", TLS),
        ("replication", "s3:GetObjectVersionForReplication", f"{BACKUPS}/metadata-db/a", TLS),
        ("replication", "s3:ReplicateObject", f"{ARTIFACTS}-replica/a", TLS),
    ],
)
def test_role_may_do_what_backups_need_when_it_asks(
    cloud: Graph, who: str, action: str, resource: str, context: dict[str, str]
) -> None:
    assert may(cloud, who, action, resource, context)


@pytest.mark.parametrize(
    ("who", "action", "resource", "context"),
    [
        ("metadata-db", "s3:GetObject", f"{ARTIFACTS}/1/run/artifacts/model", TLS),
        ("metadata-db", "s3:PutObject", f"{BACKUPS}/elsewhere/a", TLS),
        ("metadata-db", "s3:PutObject", f"{BACKUPS}/metadata-db/a", {"aws:SecureTransport": "false"}),
        ("metadata-db", "s3:DeleteObjectVersion", f"{BACKUPS}/metadata-db/a", TLS),
        ("metadata-db", "s3:DeleteObject", f"{BACKUPS}-replica/metadata-db/a", TLS),
        ("metadata-db", "s3:PutBucketPolicy", BACKUPS, TLS),
        ("metadata-db", "s3:PutLifecycleConfiguration", BACKUPS, TLS),
        ("metadata-db", "kms:Decrypt", "secrets-key", {}),
        ("metadata-db", "kms:ScheduleKeyDeletion", "data-key", {}),
        ("tracking-server", "s3:GetObject", f"{BACKUPS}/metadata-db/metadata-db-1/base/1/data.tar.gz", TLS),
        ("tracking-server", "s3:ListBucket", BACKUPS, TLS),
        ("node", "s3:GetObject", f"{BACKUPS}/metadata-db/a", TLS),
        ("replication", "s3:GetObject", f"{BACKUPS}/metadata-db/a", TLS),
    ],
)
def test_role_may_not_do_more_with_backups_when_it_asks(
    cloud: Graph, who: str, action: str, resource: str, context: dict[str, str]
) -> None:
    assert not may(cloud, who, action, resource, context)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, True),
        ({"kubernetes-service-account": "tracking-server"}, False),
        ({"kubernetes-namespace": "cnpg-system"}, False),
    ],
)
def test_role_is_taken_by_the_servers_alone_when_asked_for(
    cloud: Graph, changed: dict[str, str], expected: bool
) -> None:
    pod = {
        "eks-cluster-arn": f"arn:aws:eks:eu-central-1:{ACCOUNT_ID}:cluster/{STACK}",
        "kubernetes-namespace": NAMESPACE,
        "kubernetes-service-account": "metadata-db",
        **changed,
    }
    context = {f"aws:RequestTag/{key}": value for key, value in pod.items()}
    assert Account(cloud).may_become("pods.eks.amazonaws.com", f"{STACK}-metadata-db", context) == expected


def test_bucket_of_backups_is_kept_as_that_of_artifacts_when_deployed(cloud: Graph) -> None:
    name = BACKUPS.removeprefix("arn:aws:s3:::")
    buckets = {item.inputs["bucket"]: item for item in cloud.of_type("aws:s3/bucket:Bucket")}
    assert {name, f"{name}-replica"} <= set(buckets)
    assert buckets[name].protect
    for token in (
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    ):
        assert {name, f"{name}-replica"} <= {item.inputs["bucket"] for item in cloud.of_type(token)}, token
    copied = {item.inputs["bucket"] for item in cloud.of_type("aws:s3/bucketReplicationConfig:BucketReplicationConfig")}
    assert name in copied


def test_no_role_or_bucket_is_there_for_backups_when_the_database_is_a_pod() -> None:
    staging = STACKS["staging"].run()
    assert not [item for item in staging.of_type("aws:s3/bucket:Bucket") if "backups" in item.inputs["bucket"]]
    assert f"{STACK}-metadata-db" not in {item.inputs["name"] for item in staging.of_type("aws:iam/role:Role")}


# Restoring it -------------------------------------------------------------------------------------------------------


def restoring() -> list[str]:
    """Return the shell commands of the steps."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("## Restore a database of CloudNativePG")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    return [line.strip() for line in re.sub(r"\\\n\s*", " ", "".join(blocks)).splitlines() if line.strip()]


def test_restore_stops_everybody_who_writes_and_names_what_there_is(given: Graph) -> None:
    commands = restoring()
    (stop,) = [line for line in commands if "scale deployment --replicas=0" in line]
    writers = {
        item.object_name
        for item in given.of_kind("Deployment")
        if "mlplatform.dev/access-metadata-db" in pods.template_of(item)["metadata"]["labels"]
    }
    assert set(shlex.split(stop.partition("--replicas=0")[2])) == writers - {"database-exporter"}
    (delete,) = [line for line in commands if "delete cluster" in line]
    assert given.object("Cluster", "metadata-db").object_name in shlex.split(delete)
    assert all(f"--namespace {NAMESPACE}" in line for line in commands if line.startswith("kubectl "))


def test_settings_of_the_restore_make_the_cluster_from_the_past_when_set() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("## Restore a database of CloudNativePG")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```yaml\n(.*?)```", section, flags=re.DOTALL)
    settings = yaml.safe_load(block)["mlplatform:metadataDb"]
    stack = StackUnderTest(name="dev", added={**DATABASE_CLUSTER.added, "metadataDb": settings})
    cluster = spec(stack.run(), "Cluster", "metadata-db")
    assert cluster["bootstrap"]["recovery"]["source"] == "metadata-db-1"
    assert cluster["bootstrap"]["recovery"]["recoveryTarget"] == {"targetTime": settings["cluster"]["restoreTo"]}
    assert cluster["plugins"][0]["parameters"]["serverName"] == "metadata-db-2"
