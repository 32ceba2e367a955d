"""Pipelines on a real API server: that it takes every object, finds all pods restricted, and lets accounts do no more.

There is no node, so nothing runs: what Kubeflow's and Argo's programs do with this is not shown here.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from local.progress import ConsoleProgress
from local.toolchain import ensure
from tests.local.provider.control_plane import control_plane
from tests.support.recording_monitor import Graph, Recorded
from tests.support.stacks import PIPELINES_WITH_PAGE

pytestmark = pytest.mark.slow

NAMESPACE = "kubeflow"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}"


@dataclass(frozen=True, kw_only=True)
class Server:
    """An API server that holds everything of the stack, and what it said to it."""

    kubectl: Sequence[str]
    warnings: str

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return run(self.kubectl, *arguments, stdin=stdin)

    def may(self, account: str, verb: str, resource: str, *more: str) -> bool:
        done = self.run("auth", "can-i", verb, resource, f"--as={ACCOUNT}:{account}", f"--namespace={NAMESPACE}", *more)
        return done.stdout.strip() == "yes"


def run(kubectl: Sequence[str], *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*kubectl, *arguments], input=stdin, capture_output=True, text=True, timeout=300, check=False)


def manifest_of(item: Recorded) -> dict[str, Any]:
    """Return an object under the name that others know it by, which Pulumi makes for those that have none."""
    manifest = json.loads(json.dumps(item.manifest))
    digest = hashlib.sha256(item.urn.encode()).hexdigest()[:8]
    manifest["metadata"].setdefault("name", f"{item.name}-{digest}")
    return manifest


def as_list(items: Sequence[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)})


def fill(kubectl: Sequence[str], graph: Graph) -> str:
    """Give the server every object of Kubernetes itself; return its warnings."""
    manifests = [manifest_of(item) for item in graph.kubernetes_objects()]
    others = (".istio.io", "cert-manager.io")
    manifests = [item for item in manifests if not item["apiVersion"].partition("/")[0].endswith(others)]
    mesh = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}
    first = [item for item in manifests if item["kind"] in {"Namespace", "CustomResourceDefinition"}]
    warnings = ""
    for group in ([mesh, *first], [item for item in manifests if item not in first]):
        done = run(kubectl, "apply", "--server-side", "--filename=-", stdin=as_list(group))
        assert done.returncode == 0, done.stderr
        warnings += done.stderr
    return warnings


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    toolchain = ensure(["etcd", "kubernetes"], ConsoleProgress())
    with control_plane(tmp_path_factory.mktemp("control-plane"), toolchain) as running:
        kubectl = [str(toolchain.bin("kubectl")), f"--kubeconfig={running.kubeconfig}"]
        yield Server(kubectl=kubectl, warnings=fill(kubectl, PIPELINES_WITH_PAGE.run()))


def test_server_takes_every_object_and_warns_of_none_when_applied(server: Server) -> None:
    assert server.warnings == ""
    found = server.run("get", "deployments,statefulsets", f"--namespace={NAMESPACE}", "--output=name").stdout.split()
    assert len(found) == 8


def test_definitions_are_established_when_applied(server: Server) -> None:
    names = ("workflows.argoproj.io", "workflowtasksets.argoproj.io", "scheduledworkflows.kubeflow.org")
    done = server.run("wait", "--for=condition=Established", *(f"crd/{name}" for name in names), "--timeout=60s")
    assert done.returncode == 0, done.stderr


def test_unrestricted_step_is_refused_when_somebody_tries(server: Server) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "escaping", "namespace": NAMESPACE},
        "spec": {"containers": [{"name": "main", "image": "example.org/x:1"}]},
    }
    done = server.run("create", "--filename=-", stdin=json.dumps(pod))
    assert done.returncode != 0
    assert 'violates PodSecurity "restricted:latest"' in done.stderr


@pytest.mark.parametrize(
    ("account", "verb", "resource", "more"),
    [
        ("pipeline-runner", "create", "workflowtaskresults.argoproj.io", ()),
        ("pipeline-runner", "get", "secrets/mlpipeline-minio-artifact", ()),
        ("pipeline-runner", "get", "configmaps/kfp-launcher", ()),
        ("ml-pipeline", "create", "workflows.argoproj.io", ()),
        ("ml-pipeline", "get", "pods", ("--subresource=log",)),
        ("workflow-controller", "create", "pods", ()),
        ("workflow-controller", "create", "pods", ("--subresource=exec",)),
        ("workflow-controller", "update", "workflows.argoproj.io", ("--subresource=finalizers",)),
    ],
)
def test_account_may_do_what_it_is_for_when_asked(
    server: Server, account: str, verb: str, resource: str, more: tuple[str, ...]
) -> None:
    assert server.may(account, verb, resource, *more)


@pytest.mark.parametrize(
    ("account", "verb", "resource", "more"),
    [
        ("pipeline-runner", "create", "pods", ()),
        ("pipeline-runner", "create", "workflows.argoproj.io", ()),
        ("pipeline-runner", "get", "secrets/mysql-accounts", ()),
        ("pipeline-runner", "list", "secrets", ()),
        ("pipeline-runner", "create", "pods", ("--subresource=exec",)),
        ("ml-pipeline", "get", "secrets/mysql-accounts", ()),
        ("ml-pipeline", "create", "pods", ()),
        ("ml-pipeline-ui", "delete", "pods", ()),
        ("ml-pipeline-ui", "create", "workflows.argoproj.io", ()),
        ("workflow-controller", "get", "secrets", ()),
        ("workflow-controller", "list", "pods", ("--all-namespaces",)),
        ("ml-pipeline-scheduledworkflow", "create", "pods", ()),
        ("default", "get", "pods", ()),
    ],
)
def test_account_may_not_do_more_when_asked(
    server: Server, account: str, verb: str, resource: str, more: tuple[str, ...]
) -> None:
    assert not server.may(account, verb, resource, *more)
