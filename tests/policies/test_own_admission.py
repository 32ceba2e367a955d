"""What the platform deploys, and what its parts make later, passes its own policies on a real API server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from ml.cli.outputs import parse_outputs
from ml.cli.train.job import training_job
from ml.contracts import GATEWAY_NAMESPACE
from policies import admission
from policies._examples import MANIFESTS
from policies._model import Exemption
from policies._paths import changed
from policies.configuration import Configuration, load
from policies.engine import evaluate
from tests.local.provider.control_plane import ControlPlane
from tests.policies.admission_server import apply, await_in_force, create, remove_policies
from tests.policies.clusters import read
from tests.support.stacks import CARD_CLAIMS, STACKS, StackUnderTest
from tests.unit.cli.platform import OUTPUTS

_PODS_SECONDS = 120.0
_STACKS = {
    "dev": STACKS["dev"],
    "local": STACKS["local"],
    "claims": replace(CARD_CLAIMS, added={key: value for key, value in CARD_CLAIMS.added.items() if key != "teams"}),
}
"""The others need what only a cloud's cluster has; teams have namespaces of their own, of which nothing is judged."""


def in_own_namespace(name: str) -> StackUnderTest:
    """Return a stack where no other has been: a namespace with many pods takes half a minute to go."""
    return replace(_STACKS[name], added={**_STACKS[name].added, "namespace": f"own-{name}"})


def namespace_of(stack: StackUnderTest) -> str:
    return str(stack.added["namespace"])


_FIRST = (
    "PriorityClass",
    "Namespace",
    "CustomResourceDefinition",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PODS_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "not within the time limit"
        time.sleep(0.5)


def items(server: ControlPlane, namespace: str, kinds: str) -> list[dict[str, Any]]:
    return json.loads(server.kubectl("-n", namespace, "get", kinds, "-o", "json"))["items"]


@pytest.fixture(scope="module")
def cluster(api_server: ControlPlane) -> Iterator[ControlPlane]:
    """An API server with the namespace of the gateways, which is everybody's."""
    apply(api_server, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": GATEWAY_NAMESPACE}}])
    yield api_server
    api_server.kubectl("delete", "namespace", GATEWAY_NAMESPACE, "--wait=false")


@pytest.fixture(scope="module", params=[in_own_namespace(name) for name in _STACKS], ids=list(_STACKS))
def deployed(request: pytest.FixtureRequest, cluster: ControlPlane) -> Iterator[tuple[StackUnderTest, ControlPlane]]:
    """A stack whose policies are in force before anything else of it comes."""
    namespace = namespace_of(request.param)
    declared = request.param.run().kubernetes_objects()
    manifests = [changed(item.manifest, {"metadata.name": item.final_name}) for item in declared]
    first = sorted((item for item in manifests if item["kind"] in _FIRST), key=lambda item: _FIRST.index(item["kind"]))
    apply(cluster, first)
    probe = changed(MANIFESTS["Service"], {"metadata.namespace": namespace, "spec.type": "NodePort"})
    await_in_force(cluster, probe, "service-outside")
    probe = changed(MANIFESTS["Deployment"], {"metadata.namespace": namespace, "spec.replicas": 5000})
    await_in_force(cluster, probe, "replicas-limit")
    apply(cluster, [item for item in manifests if item["kind"] not in _FIRST])
    yield request.param, cluster
    remove_policies(cluster)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def test_every_pod_is_made_when_the_policies_are_in_force(deployed: tuple[StackUnderTest, ControlPlane]) -> None:
    stack, server = deployed
    namespace = namespace_of(stack)
    wanted = sum(int(item["spec"].get("replicas", 1)) for item in items(server, namespace, "deployments,statefulsets"))
    wanted += len(items(server, namespace, "jobs"))
    eventually(lambda: len(items(server, namespace, "pods")) >= wanted)
    claiming = sum(len(pod["spec"].get("resourceClaims", [])) for pod in items(server, namespace, "pods"))
    eventually(lambda: len(items(server, namespace, "resourceclaims")) == claiming)
    refused = [item["message"] for item in items(server, namespace, "events") if item["reason"] == "FailedCreate"]
    assert refused == []


def test_audit_refuses_nothing_when_the_stack_is_deployed(deployed: tuple[StackUnderTest, ControlPlane]) -> None:
    stack, server = deployed
    own = {item.final_name for item in stack.run().kubernetes_objects()}
    # What has no namespace may be another test's.
    resources = [item for item in read(server, namespace_of(stack)) if item.namespace or item.name in own]
    assert {"core/Pod", "apps/StatefulSet", "core/Namespace", "networking.istio.io/VirtualService"} <= {
        resource.kind for resource in resources
    }
    report = evaluate(resources, load(datetime.now(UTC).date()), stack.name)
    assert [(item.rule.id, item.finding.resource.title) for item in report.judged if item.refuses] == []


def test_what_the_parts_make_later_is_taken_when_the_policies_are_in_force(
    deployed: tuple[StackUnderTest, ControlPlane],
) -> None:
    stack, server = deployed
    namespace = namespace_of(stack)
    outputs = parse_outputs({**OUTPUTS, "namespace": namespace})
    experiment = changed(MANIFESTS["ABTest"], {"metadata.namespace": namespace})
    for manifest in (training_job(outputs, "train-models-1", force=False), experiment):
        answer = create(server, manifest)
        assert (answer.status, answer.rules) == (201, frozenset()), answer.message


def test_pods_of_an_exempt_workload_are_made_when_only_the_workload_is_named(api_server: ControlPlane) -> None:
    namespace = "exempt"
    api_server.kubectl("create", "namespace", namespace)
    exemptions = tuple(
        Exemption(
            rule="pod-host-network",
            stacks=("sample",),
            kind=kind,
            name=name,
            owner="platform",
            reason="a test",
            expires=date(2030, 1, 1),
        )
        for kind, name in (("apps/StatefulSet", "agent"), ("apps/Deployment", "front"))
    )
    configuration = Configuration(exemptions=exemptions)
    (workloads,) = (
        policy for policy in admission.policies(configuration, "sample") if policy["name"] == "workloads-mandatory"
    )
    name = "exempt-workloads-mandatory"
    base = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    selection = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": selection}
    apply(
        api_server,
        [
            {**base, "kind": "ValidatingAdmissionPolicy", "spec": workloads["spec"]},
            {**base, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
        ],
    )
    host = {"metadata.namespace": namespace, "spec.template.spec.hostNetwork": True}
    ports: dict[str, Any] = {"spec.template.spec.containers.0.ports": []}
    front = changed(MANIFESTS["Deployment"], {**host, **ports, "metadata.name": "front"})
    await_in_force(api_server, changed(front, {"metadata.name": "other"}), "pod-host-network")
    apply(api_server, [front, changed(MANIFESTS["StatefulSet"], {**host, **ports, "metadata.name": "agent"})])

    eventually(lambda: len(items(api_server, namespace, "pods")) == 2)

    owner = next(item for item in items(api_server, namespace, "pods") if item["metadata"]["name"] == "agent-0")
    forged = changed(
        MANIFESTS["Pod"],
        {
            "metadata.namespace": namespace,
            "metadata.ownerReferences": owner["metadata"]["ownerReferences"],
            "spec.hostNetwork": True,
            "spec.containers.0.ports": [],
        },
    )
    assert create(api_server, forged).rules == {"pod-host-network"}
    report = evaluate(read(api_server, namespace), configuration, "sample")
    assert "pod-host-network" not in {item.rule.id for item in report.judged if item.refuses}
    remove_policies(api_server)
