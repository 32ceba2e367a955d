"""Rules that the Kubernetes objects of every component keep."""

from __future__ import annotations

import json

import pytest

from components._base import PlatformComponent
from tests.support import pods
from tests.support.catalogue import all_components, declare_one
from tests.support.recording_monitor import Secret, reveal

RECOMMENDED_LABELS = {
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/managed-by",
}
VERSION_LABEL = "app.kubernetes.io/version"
AUTONAMED_KINDS = {"ConfigMap", "Job", "NetworkPolicy", "PodDisruptionBudget", "Role", "RoleBinding"}
"""Nothing outside Pulumi addresses these by name; everything else has the name that others rely on."""
NAMES_OF_OTHERS = {"kfp-launcher", "metadata-grpc-configmap"}
"""ConfigMaps that the images of Kubeflow Pipelines look for."""
UNASKED = {"ml-pipeline-persistenceagent"}
"""Servers that offer nothing to ask whether they are well; docs/pipelines.md says so."""

SENSITIVE_WORDS = (
    "password",
    "read",
    "write",
    "decide",
    "secret-key",
    "secretkey",
    "token",
    "uri",
    "passphrase",
    "webhook-key",
    "client-secret",
    "cookie-secret",
)
"""A key of a Secret that contains one of these holds something that must be shown nowhere else."""

every_component = pytest.mark.parametrize("component", all_components(), ids=lambda cls: cls.__name__)


@every_component
def test_objects_carry_the_recommended_labels_when_declared(component: type[PlatformComponent]) -> None:
    for item in declare_one(component).kubernetes_objects():
        if item.type.endswith("Patch"):
            continue  # somebody else's object keeps its labels
        labels = item.manifest["metadata"]["labels"]
        assert set(labels) >= RECOMMENDED_LABELS, item.name
        assert labels["app.kubernetes.io/part-of"] == "mlplatform"
        assert labels["app.kubernetes.io/managed-by"] == "pulumi"


@every_component
def test_only_addressed_objects_have_fixed_names_when_declared(component: type[PlatformComponent]) -> None:
    for item in declare_one(component).kubernetes_objects():
        fixed = item.kind not in AUTONAMED_KINDS or item.object_name in NAMES_OF_OTHERS
        assert bool(item.object_name) == fixed, f"{item.kind} {item.name}"


@every_component
def test_selectors_match_their_pods_and_leave_out_the_version_when_declared(
    component: type[PlatformComponent],
) -> None:
    for item in declare_one(component).kubernetes_objects():
        if item.kind not in {"Deployment", "StatefulSet"}:
            continue
        selector = item.manifest["spec"]["selector"]["matchLabels"]
        labels = pods.template_of(item)["metadata"]["labels"]
        assert VERSION_LABEL not in selector
        assert selector.items() <= labels.items()


@every_component
def test_no_two_workloads_select_each_others_pods_when_declared(component: type[PlatformComponent]) -> None:
    workloads = pods.workloads(declare_one(component))
    for selecting in workloads:
        selector: dict[str, str] = selecting.manifest["spec"].get("selector", {}).get("matchLabels", {})
        for other in workloads:
            if selector and other is not selecting:
                assert not selector.items() <= pods.template_of(other)["metadata"]["labels"].items()


@every_component
def test_services_select_only_servers_when_declared(component: type[PlatformComponent]) -> None:
    graph = declare_one(component)
    jobs = [pods.template_of(item)["metadata"]["labels"] for item in graph.of_kind("Job")]
    for service in graph.of_kind("Service"):
        selector = service.manifest["spec"]["selector"]
        assert VERSION_LABEL not in selector
        assert not any(selector.items() <= labels.items() for labels in jobs), "a Job's pod would get requests"


@every_component
def test_pods_satisfy_the_restricted_standard_when_declared(component: type[PlatformComponent]) -> None:
    found = {item.name: list(pods.violations(item)) for item in pods.workloads(declare_one(component))}
    assert {name: problems for name, problems in found.items() if problems} == {}


@every_component
def test_servers_are_probed_when_declared(component: type[PlatformComponent]) -> None:
    for item in pods.workloads(declare_one(component)):
        if item.kind == "Job" or item.object_name in UNASKED:
            continue
        containers = pods.containers_of(item)
        assert all("livenessProbe" in container for container in containers.values()), item.name
        assert any("readinessProbe" in container for container in containers.values()), item.name


@every_component
def test_jobs_end_when_they_cannot_succeed(component: type[PlatformComponent]) -> None:
    for job in declare_one(component).of_kind("Job"):
        assert 60 <= job.manifest["spec"]["activeDeadlineSeconds"] <= 3600
        assert pods.template_of(job)["spec"]["restartPolicy"] == "OnFailure"
        assert "ttlSecondsAfterFinished" not in job.manifest["spec"], "a vanished Job would be made again"


@every_component
def test_secret_values_stay_inside_secret_objects_when_declared(component: type[PlatformComponent]) -> None:
    graph = declare_one(component)
    hidden = {
        value
        for item in graph.of_kind("Secret")
        for key, value in item.manifest["stringData"].items()
        if any(word in key for word in SENSITIVE_WORDS)
    }
    for item in graph.resources.values():
        if item.kind != "Secret":
            shown = json.dumps(reveal(dict(item.inputs)), default=str)
            assert not any(value in shown for value in hidden), f"{item.name} shows a secret"
    for urn, outputs in graph.outputs.items():
        assert not any(value in json.dumps(reveal(dict(outputs)), default=str) for value in hidden), urn


@every_component
def test_passwords_are_marked_secret_when_declared(component: type[PlatformComponent]) -> None:
    for item in declare_one(component).of_kind("Secret"):
        assert isinstance(item.inputs["stringData"], Secret), item.name
        assert any(word in key for key in item.manifest["stringData"] for word in SENSITIVE_WORDS), item.name
