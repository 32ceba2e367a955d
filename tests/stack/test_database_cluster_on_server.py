"""The database cluster on a real API server that knows the operator's kinds: it takes every object, and no bad one.

There is no operator and no node, so nothing runs: what CloudNativePG does with this is not shown here. A pod is given
to the server as the operator would build it, for the cluster's own policies must let it in.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from policies._paths import changed
from tests.support.api_server import api_server, fill, manifest_of, run
from tests.support.recording_monitor import Graph
from tests.support.stacks import DATABASE_CLUSTER, ROOT

pytestmark = pytest.mark.slow

NAMESPACE = "free-deep-research"
DEFINITIONS = ROOT / "tests" / "support" / "crds"
OPERATOR = "system:serviceaccount:cnpg-system:cloudnative-pg"
MAY = ("--as-group=system:masters",)
_IN_FORCE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """An API server that holds everything of the stack."""

    kubectl: Sequence[str]
    graph: Graph

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return run(self.kubectl, *arguments, stdin=stdin)

    def judge(self, manifest: dict[str, Any], *more: str) -> subprocess.CompletedProcess[str]:
        """Let the server judge an object without keeping it."""
        options = ("--dry-run=server", "--validate=strict", "--filename=-")
        return self.run("create", *options, *more, stdin=json.dumps(manifest))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    graph = DATABASE_CLUSTER.run()
    with api_server(tmp_path_factory.mktemp("control-plane")) as kubectl:
        files = [file for file in DEFINITIONS.glob("*.yaml") if file.name.startswith(("cnpg-", "barman-cloud-plugin-"))]
        done = run(kubectl, "apply", "--server-side", *(f"--filename={file}" for file in files))
        assert done.returncode == 0, done.stderr
        done = run(kubectl, "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        assert done.returncode == 0, done.stderr
        fill(kubectl, graph)
        # The operator makes it.
        done = run(
            kubectl, "create", "serviceaccount", "metadata-db", f"--namespace={NAMESPACE}", f"--as={OPERATOR}", *MAY
        )
        assert done.returncode == 0, done.stderr
        yield Server(kubectl=kubectl, graph=graph)


def custom(server: Server) -> list[dict[str, Any]]:
    items = server.graph.kubernetes_objects()
    return [manifest_of(item) for item in items if "cnpg.io/" in item.manifest["apiVersion"]]


def instance(server: Server) -> dict[str, Any]:
    """Return the pod of a server as CloudNativePG 1.30 and its plugin build it from the Cluster, in what rules ask."""
    spec = server.graph.object("Cluster", "metadata-db").manifest["spec"]
    sidecar = server.graph.object("ObjectStore", "metadata-db").manifest["spec"]["instanceSidecarConfiguration"]
    locked = {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    labels = {
        "cnpg.io/cluster": "metadata-db",
        "cnpg.io/podRole": "instance",
        "app.kubernetes.io/name": "postgresql",
        "app.kubernetes.io/managed-by": "cloudnative-pg",
        **spec["inheritedMetadata"]["labels"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "metadata-db-1", "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "initContainers": [
                {"name": "bootstrap-controller", "image": "ghcr.io/cloudnative-pg/cloudnative-pg:1.30.0",
                 "securityContext": locked, "resources": spec["resources"]},
                {"name": "plugin-barman-cloud", "image": "ghcr.io/cloudnative-pg/plugin-barman-cloud-sidecar:v0.14.0",
                 "restartPolicy": "Always", "securityContext": locked, "resources": sidecar["resources"]},
            ],
            "containers": [
                {"name": "postgres", "image": spec["imageName"],
                 "securityContext": locked, "resources": spec["resources"]}
            ],
            "volumes": [{"name": "plugins", "emptyDir": {}}],
            "serviceAccountName": "metadata-db",
            "priorityClassName": spec["priorityClassName"],
            "securityContext": {"runAsNonRoot": True, "runAsUser": 26, "seccompProfile": {"type": "RuntimeDefault"}},
        },
    }  # fmt: skip


def test_server_has_taken_every_object_of_the_operators_kinds_when_applied(server: Server) -> None:
    kinds = ("clusters", "databases", "databaseroles", "scheduledbackups")
    wanted = ",".join((*(f"{kind}.postgresql.cnpg.io" for kind in kinds), "objectstores.barmancloud.cnpg.io"))
    found = server.run("get", wanted, f"--namespace={NAMESPACE}", "--output=name").stdout.split()
    assert len(found) == len(custom(server)) == 8


@pytest.mark.parametrize(
    ("kind", "patch", "named"),
    [
        ("Cluster", {"spec.instances": 0}, "spec.instances"),
        ("Cluster", {"spec.postgresql.synchronous.dataDurability": "mostly"}, "dataDurability"),
        ("Cluster", {"spec.primaryUpdateMethod": "hope"}, "primaryUpdateMethod"),
        ("Cluster", {"spec.instnaces": 3}, "unknown field"),
        ("Database", {"spec.name": "postgres"}, "reserved"),
        ("DatabaseRole", {"spec.name": "streaming_replica"}, "reserved"),
        ("DatabaseRole", {"spec.disablePassword": True}, "mutually exclusive"),
        ("ObjectStore", {"spec.retentionPolicy": "two weeks"}, "retentionPolicy"),
        ("ObjectStore", {"spec.configuration.serverName": "metadata-db"}, "serverName"),
        ("ScheduledBackup", {"spec.method": "tape"}, "method"),
    ],
)
def test_object_is_refused_when_it_is_wrong(server: Server, kind: str, patch: dict[str, Any], named: str) -> None:
    manifest = next(item for item in custom(server) if item["kind"] == kind)
    wrong = changed(manifest, {"metadata.name": "wrong", **patch})
    done = server.judge(wrong)
    assert done.returncode != 0
    assert named in done.stderr
    assert server.judge(changed(manifest, {"metadata.name": "right"})).returncode == 0


def test_cluster_of_a_database_cannot_be_changed_when_it_is_there(server: Server) -> None:
    manifest = next(item for item in custom(server) if item["kind"] == "Database")
    moved = changed(manifest, {"spec.cluster.name": "another"})
    done = server.run("apply", "--server-side", "--dry-run=server", "--filename=-", stdin=json.dumps(moved))
    assert done.returncode != 0
    assert "cluster" in done.stderr


def test_pod_of_the_operator_is_let_in_and_the_same_one_of_somebody_else_is_not(server: Server) -> None:
    pod = instance(server)
    deadline = time.monotonic() + _IN_FORCE_SECONDS
    while (done := server.judge(pod)).returncode == 0:
        assert time.monotonic() < deadline, "the policies are not in force"
        time.sleep(0.5)
    # Neither can be said to the operator or its plugin.
    assert "pod-account-token" in done.stderr or "pod-scratch-limit" in done.stderr
    as_operator = (f"--as={OPERATOR}", *MAY)
    assert server.judge(pod, *as_operator).returncode == 0, server.judge(pod, *as_operator).stderr


def test_pod_security_holds_for_the_operator_too_when_it_makes_a_pod(server: Server) -> None:
    escaping = changed(instance(server), {"spec.hostNetwork": True})
    done = server.judge(escaping, f"--as={OPERATOR}", *MAY)
    assert done.returncode != 0
    assert 'violates PodSecurity "restricted:latest"' in done.stderr
