"""A small HTTP client for the API server, with the client certificate of a kubeconfig."""

from __future__ import annotations

import base64
import http
import ssl
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import httpx
import yaml

_TIMEOUT_SECONDS = 10.0


def connect(kubeconfig: Path, server: str | None = None) -> httpx.Client:
    """Return a client for the cluster and user of a kubeconfig that kubeadm wrote (one of each, data embedded).

    Args:
        kubeconfig: the file.
        server: address to use instead of the file's.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has no embedded certificates.
    """
    document = cast("dict[str, Any]", yaml.safe_load(kubeconfig.read_text()))
    try:
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        credentials = b"".join(base64.b64decode(user[key]) for key in ("client-certificate-data", "client-key-data"))
        address = server or str(cluster["server"])
    except (KeyError, IndexError) as error:
        raise ValueError(f"{kubeconfig}: no embedded certificates ({error})") from error
    context = ssl.create_default_context(cadata=authority)
    # The ssl module reads client certificates from files only. Mode 0600, gone at once.
    with tempfile.NamedTemporaryFile() as file:
        file.write(credentials)
        file.flush()
        context.load_cert_chain(file.name)
    return httpx.Client(base_url=address, verify=context, timeout=_TIMEOUT_SECONDS, trust_env=False)


def node_ready(client: httpx.Client, node_name: str, since: datetime) -> bool:
    """Return whether the node has said since `since` that it is ready, and no pod's state is older than that.

    After a restart the API server still has what was true before the end. Whoever believed it would take a pod that has
    yet to be started for a running one.

    Raises:
        httpx.HTTPError: the API server does not answer or refuses.
    """
    answer = client.get(f"/api/v1/nodes/{node_name}")
    if answer.status_code == http.HTTPStatus.NOT_FOUND:
        return False
    answer.raise_for_status()
    if not reports_ready(answer.json(), since):
        return False
    pods = client.get("/api/v1/pods")
    pods.raise_for_status()
    return not any(is_outdated(pod, since) for pod in pods.json()["items"])


def reports_ready(node: Mapping[str, Any], since: datetime) -> bool:
    """Return whether a node object's Ready condition is true and was reported after `since`."""
    return any(
        entry["type"] == "Ready" and entry["status"] == "True" and _time(entry["lastHeartbeatTime"]) >= since
        for entry in node.get("status", {}).get("conditions", [])
    )


def is_outdated(pod: Mapping[str, Any], since: datetime) -> bool:
    """Return whether a pod object claims that a container runs which was started before `since`."""
    statuses = pod.get("status", {}).get("containerStatuses", [])
    running = (status.get("state", {}).get("running") for status in statuses)
    return any(state is not None and _time(state["startedAt"]) < since for state in running)


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")


def grant_administration(client: httpx.Client) -> None:
    """Give the administrators' group, to which kubeadm's certificates belong, the right to do everything.

    Args:
        client: connected as super-admin.conf's user, which has that right by itself.

    Raises:
        httpx.HTTPError: the API server does not answer or refuses.
    """
    answer = client.post(
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        json={
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "kubeadm:cluster-admins"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cluster-admin",
            },
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "kubeadm:cluster-admins"}],
        },
    )
    if answer.status_code != http.HTTPStatus.CONFLICT:
        answer.raise_for_status()
