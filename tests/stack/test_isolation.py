"""Who may reach what: one table, held against a real API server, the declared network policies and a real MinIO.

How the registry keeps teams apart is shown in tests/ml/workspaces. What this does not prove: that a cluster's network
plugin enforces the policies, or that its identity provider says the groups.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from ml.contracts import GATEWAY_SELECTOR, LABEL_DOMAIN
from tests.support import pods
from tests.support.api_server import api_server, as_list, fill, run
from tests.support.bootstrap import bootstrap, write_consumer
from tests.support.network import NAMESPACE_NAME, Network, Pod
from tests.support.recording_monitor import Graph, reveal
from tests.support.rights import Rights, rights_at
from tests.support.stacks import TEAMS
from tests.support.stores import refused, running_minio, store_as
from tests.support.team_rights import ASKED, GROUPS, MATRIX, PLATFORM, QUALITY, VISION, Cell, cells, named


def test_table_asks_about_every_team_and_every_place_when_written() -> None:
    assert {cell.who for cell in MATRIX} == {VISION, QUALITY, PLATFORM, "kubeflow"}
    assert len(set(MATRIX)) == len(MATRIX)
    assert {cell.what for cell in MATRIX} == {*ASKED, "reach", "use"}


# Rights -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared() -> Graph:
    return TEAMS.run()


@pytest.fixture(scope="module")
def kubectl(shared: Graph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    with api_server(tmp_path_factory.mktemp("control-plane")) as command:
        fill(command, shared)
        yield command


@pytest.fixture(scope="module")
def rights(kubectl: list[str]) -> Iterator[Rights]:
    with rights_at(kubectl) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("cell", cells(set(ASKED)), ids=named)
def test_api_server_answers_as_the_table_says_when_somebody_of_a_team_asks(rights: Rights, cell: Cell) -> None:
    for group in GROUPS[cell.who]:
        for verb, resource in ASKED[cell.what]:
            kind, _, part = resource.partition("/")
            asked, subresource = (resource, "") if kind == "secrets" else (kind, part)
            groups = (group, "system:authenticated")
            may = rights.may("somebody", verb, asked, namespace=cell.where, groups=groups, subresource=subresource)
            # Only at home there is a key called like that which is theirs.
            assert may is cell.may, f"{group}: {verb} {resource} in {cell.where}"


@pytest.mark.slow
def test_somebody_of_no_team_may_nothing_when_asking(rights: Rights) -> None:
    for namespace in (VISION, QUALITY, PLATFORM):
        assert not rights.may("x", "list", "pods", namespace=namespace, groups=("others",))


@pytest.mark.slow
def test_quota_refuses_ways_in_from_outside_and_unlimited_pods_when_a_team_makes_them(kubectl: list[str]) -> None:
    person = ("--as=somebody", "--as-group=ml-vision", f"--namespace={VISION}")
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "door"},
        "spec": {"type": "NodePort", "selector": {"app": "x"}, "ports": [{"port": 80}]},
    }
    done = run(kubectl, "create", "--filename=-", *person, stdin=as_list([service]))
    assert "exceeded quota" in done.stderr
    secure = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "main", "image": "example.org/x:1", "securityContext": secure}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "worker"}, "spec": {"containers": [container]}}
    done = run(kubectl, "create", "--filename=-", *person, stdin=as_list([pod]))
    assert done.returncode == 0, done.stderr
    got = json.loads(run(kubectl, "get", "pod/worker", "--output=json", *person).stdout)
    assert got["spec"]["containers"][0]["resources"]["limits"] == {"memory": "512Mi"}
    container["resources"] = {"requests": {"memory": "65Gi"}, "limits": {"memory": "65Gi"}}
    pod["metadata"] = {"name": "greedy"}
    done = run(kubectl, "create", "--filename=-", *person, stdin=as_list([pod]))
    assert done.returncode != 0
    assert "maximum memory usage per Container is 64Gi" in done.stderr
    del container["securityContext"], container["resources"]
    done = run(kubectl, "create", "--filename=-", *person, stdin=as_list([pod]))
    assert 'violates PodSecurity "restricted:latest"' in done.stderr


# Network ------------------------------------------------------------------------------------------------------------


def claimants(graph: Graph, namespace: str) -> list[Pod]:
    """Return pods that claim to be whoever a policy speaks of: who makes pods writes their labels."""
    spoken_of = [labels for policy in graph.of_kind("NetworkPolicy") for labels in _labels_in(policy.manifest["spec"])]
    # An access label excludes no other; of the rest a pod can be one thing at a time.
    prefix = f"{LABEL_DOMAIN}/access-"
    every = {key: value for labels in spoken_of for key, value in labels.items() if key.startswith(prefix)}
    claims = {json.dumps({**every, **labels}, sort_keys=True) for labels in spoken_of}
    return [Pod(namespace=namespace, labels=json.loads(claim)) for claim in sorted(claims)]


def _labels_in(value: Any) -> Iterator[dict[str, str]]:
    if isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            if key == "matchLabels":
                yield item
            elif key == "matchExpressions":
                yield {expression["key"]: "x" for expression in item}
            else:
                yield from _labels_in(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _labels_in(item)


def ends(graph: Graph, where: str) -> list[tuple[Pod, int]]:
    """Return the pods of a place, each with every port of it."""
    namespace, _, name = where.partition("/")
    if name == "gateway":
        return [(Pod(namespace=namespace, labels=GATEWAY_SELECTOR), port) for port in (80, 443, 15090)]
    if name == "anything":
        return [(Pod(namespace=namespace, labels={"app": "x"}), port) for port in (80, 443, 5000, 8080, 9090)]
    (found,) = [
        pods.template_of(item)
        for item in pods.workloads(graph)
        if (item.manifest["metadata"]["namespace"], item.object_name) == (namespace, name)
    ]
    ports = [port["containerPort"] for it in found["spec"]["containers"] for port in it.get("ports", [])]
    assert ports, where
    return [(Pod(namespace=namespace, labels=found["metadata"]["labels"]), port) for port in ports]


@pytest.mark.parametrize("cell", cells({"reach"}), ids=named)
def test_policies_let_through_what_the_table_says_when_pods_claim_to_be_anybody(shared: Graph, cell: Cell) -> None:
    network, servers = Network(shared), ends(shared, cell.where)
    reached = {
        port for client in claimants(shared, cell.who) for server, port in servers if network.lets(client, server, port)
    }
    assert bool(reached) is cell.may, reached


def test_everything_is_open_when_nothing_is_declared() -> None:
    client, server = Pod(namespace=VISION, labels={}), Pod(namespace=PLATFORM, labels={})
    assert Network(Graph()).lets(client, server, 5432)


@pytest.mark.parametrize(
    ("namespace", "opened", "where"),
    [
        (PLATFORM, {"app.kubernetes.io/name": "metadata-db"}, f"{PLATFORM}/metadata-db"),
        (QUALITY, {}, f"{QUALITY}/anything"),
    ],
)
def test_table_is_broken_when_somebody_opens_a_wall(
    shared: Graph, namespace: str, opened: dict[str, str], where: str
) -> None:
    """A door at either end opens nothing, both together do: the evaluation reads both ends."""

    def door(end: str, place: str, pod: dict[str, str], peer: str) -> dict[str, Any]:
        side = {"from" if end == "Ingress" else "to": [{"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: peer}}}]}
        spec = {"podSelector": {"matchLabels": pod}, "policyTypes": [end], end.lower(): [side]}
        return {"metadata": {"namespace": place}, "spec": spec}

    into = door("Ingress", namespace, opened, VISION)
    out = door("Egress", VISION, {}, namespace)

    def reached(*doors: dict[str, Any]) -> bool:
        network = Network(shared, doors)
        client = Pod(namespace=VISION, labels={"app": "x"})
        return any(network.lets(client, server, port) for server, port in ends(shared, where))

    assert [reached(), reached(into), reached(out), reached(into, out)] == [False, False, False, True]


def test_pods_without_a_label_reach_only_their_own_when_a_team_says_nothing(shared: Graph) -> None:
    network = Network(shared)
    plain = Pod(namespace=VISION, labels={"app": "x"})
    for service in ("api", "object-store", "team-vision-registry"):
        assert not any(network.lets(plain, server, port) for server, port in ends(shared, f"{PLATFORM}/{service}"))
    assert all(network.lets(plain, server, port) for server, port in ends(shared, f"{VISION}/anything"))


def test_store_shows_teams_its_objects_and_not_its_console_when_they_reach_it(shared: Graph) -> None:
    network = Network(shared)
    reached = {
        port
        for client in claimants(shared, VISION)
        for server, port in ends(shared, f"{PLATFORM}/object-store")
        if network.lets(client, server, port)
    }
    assert reached == {9000}


# Buckets ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def minio(shared: Graph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, dict[str, tuple[str, str]]]]:
    """A store set up with the keys that the stack declares; its port, and the key pair of each namespace."""
    folder = tmp_path_factory.mktemp("minio")
    for name in ("mlflow", "pipelines", "team-vision", "team-text-quality"):
        data = reveal(dict(shared.object("Secret", f"object-store-{name}").inputs))["stringData"]
        files = {key.replace("-", "_"): value for key, value in data.items()}
        write_consumer(folder / "secrets" / "consumers", name, **files)
    write_consumer(folder / "secrets", "observer", access_key="monitoring", secret_key="monitoring-secret-key")
    keys = {
        item.manifest["metadata"]["namespace"]: (
            item.manifest["stringData"]["access-key"],
            item.manifest["stringData"]["secret-key"],
        )
        for item in shared.of_kind("Secret")
        if item.object_name == "object-store"
    }
    with running_minio(folder) as server:
        bootstrap("object_store_bootstrap.sh", server, folder / "secrets")
        yield server.port, keys


@pytest.mark.slow
@pytest.mark.parametrize("cell", cells({"use"}), ids=named)
def test_store_opens_to_the_key_in_a_teams_namespace_as_the_table_says_when_used(
    minio: tuple[int, dict[str, tuple[str, str]]], cell: Cell
) -> None:
    port, keys = minio
    client = store_as(port, *keys[cell.who])
    if cell.may:
        client.put_object(Bucket=cell.where, Key="a/b", Body=b"ours")
        assert client.get_object(Bucket=cell.where, Key="a/b")["Body"].read() == b"ours"
        assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == [cell.where]
        return
    assert refused(client.list_objects_v2, Bucket=cell.where) == "AccessDenied"
    assert refused(client.put_object, Bucket=cell.where, Key="a/b", Body=b"theirs") == "AccessDenied"
    assert refused(client.get_object, Bucket=cell.where, Key="a/b") == "AccessDenied"


def test_teams_key_lies_in_its_namespace_and_the_platforms_only_when_declared(shared: Graph) -> None:
    for team, namespace in (("vision", VISION), ("text-quality", QUALITY)):
        key = shared.object("Secret", f"object-store-team-{team}").manifest["stringData"]["secret-key"]
        holders = {
            item.manifest["metadata"]["namespace"]
            for item in shared.of_kind("Secret")
            if key in item.manifest["stringData"].values()
        }
        assert holders == {namespace, PLATFORM}
