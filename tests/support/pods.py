"""What any pod of the platform must be like: the Pod Security standard "restricted", and the house rules on top."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from tests.support.recording_monitor import Graph, Recorded

WORKLOADS = ("Deployment", "StatefulSet", "Job")


def workloads(graph: Graph) -> list[Recorded]:
    """Return everything that makes pods."""
    return [item for item in graph.kubernetes_objects() if item.kind in WORKLOADS]


def template_of(workload: Recorded) -> dict[str, Any]:
    """Return a workload's pod template."""
    return cast("dict[str, Any]", workload.manifest["spec"]["template"])


def containers_of(workload: Recorded) -> dict[str, dict[str, Any]]:
    """Return a workload's containers by name."""
    spec = template_of(workload)["spec"]
    return {item["name"]: item for item in [*spec["containers"], *spec.get("initContainers", [])]}


def env_of(container: dict[str, Any]) -> dict[str, Any]:
    """Return a container's environment; a variable taken from elsewhere is shown as where it comes from."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container.get("env", [])}


def violations(workload: Recorded) -> Iterator[str]:
    """Yield every way in which a workload's pods break the rules."""
    spec = template_of(workload)["spec"]
    yield from _pod_violations(spec)
    for name, container in containers_of(workload).items():
        yield from (f"container {name}: {problem}" for problem in _container_violations(container))


def _pod_violations(spec: dict[str, Any]) -> Iterator[str]:
    security = spec.get("securityContext", {})
    if security.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if not security.get("runAsUser"):
        yield "runAsUser is root or not set"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "seccompProfile is not RuntimeDefault"
    if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "shares a namespace of the host"
    if spec.get("enableServiceLinks") is not False:
        yield "enableServiceLinks is not false"
    # An account without a token is one by which the cloud knows the pod.
    if spec.get("automountServiceAccountToken") not in (False, bool(spec.get("serviceAccountName"))):
        yield "a token is mounted although the pod has no service account of its own"
    allowed = {"name", "emptyDir", "configMap", "secret", "persistentVolumeClaim", "projected"}
    for item in spec.get("volumes", []):
        if set(item) - allowed:
            yield f"volume {item['name']} is of a forbidden kind"
        if "emptyDir" in item and not item["emptyDir"].get("sizeLimit"):
            yield f"volume {item['name']} has no size limit"


def _container_violations(container: dict[str, Any]) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem is not true"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "capabilities other than dropping ALL"
    resources = container.get("resources", {})
    if set(resources.get("requests", {})) < {"cpu", "memory"} or "memory" not in resources.get("limits", {}):
        yield "requests of cpu and memory and a limit of memory are not all set"
    tag = container["image"].rpartition("/")[2].partition(":")[2]
    if tag in {"", "latest"}:
        yield f"image {container['image']} is not pinned"
    if not container.get("command"):
        yield "no command: what runs would depend on the image's entry point"


def assert_restricted(pod: dict[str, Any]) -> None:
    """Fail unless a pod of the node's own may do as little as the restricted profile demands, with bounded memory."""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
