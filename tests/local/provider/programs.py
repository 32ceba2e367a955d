"""Pulumi programs for the engine tests, and what those look at in the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from local.provider.kubeclient import ApiError
from tests.local.provider.control_plane import ControlPlane

SKIP_AWAIT = '{"pulumi.com/skipAwait": "true"}'
SETTINGS_AND_WEB = """
name = "%(namespace)s"
settings = k8s.core.v1.ConfigMap("settings", metadata={"namespace": name}, data={"level": "%(level)s"}, opts=opts())
labels = {"app": "web"}
k8s.apps.v1.Deployment("web", metadata={"name": "web", "namespace": name, "annotations": %(annotations)s}, spec={
    "selector": {"match_labels": labels},
    "template": {"metadata": {"labels": labels}, "spec": {"containers": [{
        "name": "main", "image": "web", "env": [{"name": "SETTINGS", "value": settings.metadata.name}],
        "resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}}}]}}}, opts=opts())
pulumi.export("settings", settings.metadata.name)
"""
WAITING_SERVICE = """
k8s.core.v1.Service("web", metadata={"name": "web", "namespace": "%s"},
    spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}, opts=opts())
"""


def names(api_server: ControlPlane, namespace: str, plural: str = "configmaps") -> set[str]:
    """Return the names of the objects of a core kind that somebody has made in a namespace."""
    found = api_server.client.list(f"/api/v1/namespaces/{namespace}/{plural}")
    return {str(item["metadata"]["name"]) for item in found} - {"kube-root-ca.crt"}


def eventually(condition: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Return the first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"not true within {seconds:.0f} s")


def exists(api_server: ControlPlane, path: str) -> bool:
    """Tell whether there is an object at a path."""
    try:
        return api_server.client.find(path) is not None
    except ApiError:
        return False


def ready_status(pod_ip: str = "10.0.0.1") -> dict[str, Any]:
    """Return the status of a pod that runs and is ready."""
    conditions = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady", "PodScheduled")]
    return {"status": {"phase": "Running", "podIP": pod_ip, "podIPs": [{"ip": pod_ip}], "conditions": conditions}}


def warn_about(api_server: ControlPlane, namespace: str, pod: str, message: str) -> None:
    """Record a warning about a pod as a kubelet does."""
    live = api_server.get(f"/api/v1/namespaces/{namespace}/pods/{pod}")
    subject = {"kind": "Pod", "name": pod, "namespace": namespace, "uid": live["metadata"]["uid"]}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{pod}.1", "namespace": namespace},
        "involvedObject": subject,
        "type": "Warning",
        "reason": "Failed",
        "message": message,
    }
    api_server.client.apply(f"/api/v1/namespaces/{namespace}/events/{pod}.1", event)
