"""Pipelines on a real API server: that it takes every object, finds all pods restricted, and lets accounts do no more.

There is no node, so nothing runs: what Kubeflow's and Argo's programs do with this is not shown here.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import pytest

from tests.support.api_server import api_server, fill, run
from tests.support.rights import Rights, rights_at
from tests.support.stacks import PIPELINES_WITH_PAGE

pytestmark = pytest.mark.slow

NAMESPACE = "kubeflow"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}"


@dataclass(frozen=True, kw_only=True)
class Server:
    """An API server that holds everything of the stack, and what it said to it."""

    kubectl: Sequence[str]
    rights: Rights
    warnings: str

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return run(self.kubectl, *arguments, stdin=stdin)

    def may(self, account: str, verb: str, resource: str, subresource: str, namespace: str = NAMESPACE) -> bool:
        user = f"{ACCOUNT}:{account}"
        return self.rights.may(user, verb, resource, namespace=namespace, subresource=subresource)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with api_server(tmp_path_factory.mktemp("control-plane")) as kubectl, rights_at(kubectl) as rights:
        warnings = fill(kubectl, PIPELINES_WITH_PAGE.run())
        yield Server(kubectl=kubectl, rights=rights, warnings=warnings)


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
    ("account", "verb", "resource", "subresource"),
    [
        ("pipeline-runner", "create", "workflowtaskresults.argoproj.io", ""),
        ("pipeline-runner", "get", "secrets/mlpipeline-minio-artifact", ""),
        ("pipeline-runner", "get", "configmaps/kfp-launcher", ""),
        ("ml-pipeline", "create", "workflows.argoproj.io", ""),
        ("ml-pipeline", "get", "pods", "log"),
        ("workflow-controller", "create", "pods", ""),
        ("workflow-controller", "create", "pods", "exec"),
        ("workflow-controller", "update", "workflows.argoproj.io", "finalizers"),
    ],
)
def test_account_may_do_what_it_is_for_when_asked(
    server: Server, account: str, verb: str, resource: str, subresource: str
) -> None:
    assert server.may(account, verb, resource, subresource)


@pytest.mark.parametrize(
    ("account", "verb", "resource", "subresource"),
    [
        ("pipeline-runner", "create", "pods", ""),
        ("pipeline-runner", "create", "workflows.argoproj.io", ""),
        ("pipeline-runner", "get", "secrets/mysql-accounts", ""),
        ("pipeline-runner", "list", "secrets", ""),
        ("pipeline-runner", "create", "pods", "exec"),
        ("ml-pipeline", "get", "secrets/mysql-accounts", ""),
        ("ml-pipeline", "create", "pods", ""),
        ("ml-pipeline-ui", "delete", "pods", ""),
        ("ml-pipeline-ui", "create", "workflows.argoproj.io", ""),
        ("workflow-controller", "get", "secrets", ""),
        ("ml-pipeline-scheduledworkflow", "create", "pods", ""),
        ("default", "get", "pods", ""),
    ],
)
def test_account_may_not_do_more_when_asked(
    server: Server, account: str, verb: str, resource: str, subresource: str
) -> None:
    assert not server.may(account, verb, resource, subresource)


def test_account_may_not_act_in_other_namespaces_when_asked(server: Server) -> None:
    assert not server.may("workflow-controller", "list", "pods", "", namespace="")
