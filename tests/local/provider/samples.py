"""Objects that the tests make."""

from __future__ import annotations

import time
from typing import Any

from local.provider.values import Object
from tests.local.provider.control_plane import ControlPlane


def config_map(namespace: str, name: str = "settings", **data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data or {"a": "1"},
    }


def service(namespace: str, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"ports": [{"port": 80}], **spec},
    }


def route(namespace: str, http: list[Object]) -> Object:
    return {
        "apiVersion": "test.mlplatform.dev/v1",
        "kind": "Route",
        "metadata": {"name": "split", "namespace": namespace},
        "spec": {"hosts": ["a"], "http": http},
    }


def deployment(namespace: str, annotations: dict[str, str] | None = None, replicas: int = 1) -> Object:
    labels = {"app": "web"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace, "annotations": annotations or {}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "none", "resources": {"limits": {"cpu": "1000m"}}}]},
            },
        },
    }


def await_pod(api_server: ControlPlane, namespace: str) -> Object:
    for _ in range(100):
        pods = api_server.client.list(f"/api/v1/namespaces/{namespace}/pods")
        if pods:
            return pods[0]
        time.sleep(0.1)
    raise AssertionError("the controllers made no pod within 10 s")
