"""Collects what a person needs to see about pods that do not run: warnings and the last lines of their logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from local.provider import objects
from local.provider.kubeclient import ApiError, ClusterUnreachableError, KubeClient
from local.provider.podstate import troubles
from local.provider.values import Object

_LOG_LINES: Final = 10
_EVENTS_PER_POD: Final = 3
_PODS_SHOWN: Final = 3


def explain(client: KubeClient, pods: Sequence[Object], owner: Object) -> list[str]:
    """Return one text per finding: warnings about `owner` and its pods, and log tails of containers in trouble."""
    findings = _warnings(client, owner)
    for pod in list(pods)[:_PODS_SHOWN]:
        findings += _warnings(client, pod)
        for trouble in troubles([pod]):
            if trouble.has_run:
                findings += _log_tail(client, pod, trouble.container, previous=trouble.restarts > 0)
    return findings


def _warnings(client: KubeClient, obj: Object) -> list[str]:
    namespace = objects.namespace(obj)
    if not namespace:
        return []
    try:
        events = client.list(
            f"/api/v1/namespaces/{namespace}/events",
            fieldSelector=f"involvedObject.name={objects.name(obj)},involvedObject.uid={objects.uid(obj)},type=Warning",
        )
    except (ApiError, ClusterUnreachableError):
        return []  # the failure itself is still reported
    events.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return [
        f"event on {objects.display_name(obj)}: {event.get('reason')}: {event.get('message')}"
        for event in events[-_EVENTS_PER_POD:]
    ]


def _log_tail(client: KubeClient, pod: Object, container: str, *, previous: bool) -> list[str]:
    path = f"/api/v1/namespaces/{objects.namespace(pod)}/pods/{objects.name(pod)}/log"
    try:
        text = client.text(
            path, {"container": container, "tailLines": str(_LOG_LINES), "previous": str(previous).lower()}
        )
    except (ApiError, ClusterUnreachableError):
        return []  # the node may have thrown the log away
    lines = text.strip().splitlines()
    if not lines:
        return []
    header = f"last lines of pod {objects.name(pod)}, container {container}:"
    return ["\n    ".join([header, *lines[-_LOG_LINES:]])]
