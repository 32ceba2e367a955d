"""Says what is wrong in the cluster: which component, its last log lines, its events. Read when a step failed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

_LOG_LINES = 15
_REMOVED = "unable to retrieve container logs"
"""How the node answers, as if it were the log, when the container is gone."""
_EVENT_COUNT = 5
_KUBECTL_TIMEOUT_SECONDS = 10
_NORMAL_WAITING = {"ContainerCreating", "PodInitializing"}


@dataclass(frozen=True, kw_only=True)
class SickPod:
    """A pod that is not doing its work, and why as far as Kubernetes says."""

    namespace: str
    name: str
    component: str
    reason: str
    containers: tuple[str, ...]
    """Containers worth reading logs of; empty where none has started."""


def sick_pods(pods: Sequence[Mapping[str, Any]]) -> list[SickPod]:
    """Return the pods that wait, crash or failed, given the items of a pod list.

    A pod that only waits for readiness is left out: its containers run, and what they wait for is named by itself.
    """
    return [sick for pod in pods if (sick := _examine(pod)) is not None]


def _examine(pod: Mapping[str, Any]) -> SickPod | None:
    metadata, status = pod["metadata"], pod.get("status", {})
    if status.get("phase") == "Succeeded" or metadata.get("deletionTimestamp"):
        return None
    reasons: list[str] = []
    containers: list[str] = []
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        reason = _container_reason(container)
        if reason:
            reasons.append(f"{container['name']}: {reason}")
            if container.get("restartCount", 0) or "terminated" in container.get("state", {}):
                containers.append(container["name"])
    reasons += [
        condition.get("message", "not scheduled")
        for condition in status.get("conditions", [])
        if condition["type"] == "PodScheduled" and condition["status"] == "False"
    ]
    if status.get("phase") == "Failed" and not reasons:
        reasons.append(status.get("message") or status.get("reason") or "failed")
    if not reasons:
        return None
    labels = metadata.get("labels", {})
    return SickPod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        component=labels.get("app.kubernetes.io/instance") or labels.get("app.kubernetes.io/name") or metadata["name"],
        reason="; ".join(reasons),
        containers=tuple(containers),
    )


def _container_reason(container: Mapping[str, Any]) -> str | None:
    state = container.get("state", {})
    if waiting := state.get("waiting"):
        if waiting.get("reason") in _NORMAL_WAITING:
            return None
        return ": ".join(part for part in (waiting.get("reason"), waiting.get("message")) if part)
    if (terminated := state.get("terminated")) and terminated.get("exitCode", 0) != 0:
        return f"exit code {terminated['exitCode']} ({terminated.get('reason', 'no reason given')})"
    return None


def report(environment: Mapping[str, str]) -> list[str]:
    """Return lines that describe every sick pod of the cluster; empty if there is none or nobody answers."""
    pods = _kubectl_json(["get", "pods", "--all-namespaces"], environment)
    lines: list[str] = []
    for sick in sick_pods(pods):
        lines.append(f"{sick.component} (pod {sick.namespace}/{sick.name}): {sick.reason}")
        for container in sick.containers:
            lines += [f"    log of {container}:", *_log(sick, container, environment)]
        lines += _events(sick, environment)
    return lines


def _log(sick: SickPod, container: str, environment: Mapping[str, str]) -> list[str]:
    command = ["logs", "-n", sick.namespace, sick.name, "-c", container, f"--tail={_LOG_LINES}"]
    # The log of a container that waits for its restart is the previous one; what failed before that is removed.
    for which in (["--previous"], []):
        text = _kubectl([*command, *which], environment)
        if text and not text.startswith(_REMOVED):
            return [f"      {line}" for line in text.splitlines()]
    return ["      (empty)"]


def _events(sick: SickPod, environment: Mapping[str, str]) -> list[str]:
    events = _kubectl_json(
        [
            "get",
            "events",
            "-n",
            sick.namespace,
            f"--field-selector=involvedObject.name={sick.name},type=Warning",
        ],
        environment,
    )
    lines = [f"      {event.get('reason', '')}: {event.get('message', '')}" for event in events[-_EVENT_COUNT:]]
    return ["    events:", *lines] if lines else []


def _kubectl_json(arguments: Sequence[str], environment: Mapping[str, str]) -> list[dict[str, Any]]:
    text = _kubectl([*arguments, "--output=json"], environment)
    return cast("list[dict[str, Any]]", json.loads(text)["items"]) if text else []


def _kubectl(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            ["kubectl", f"--request-timeout={_KUBECTL_TIMEOUT_SECONDS}s", *arguments],
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * _KUBECTL_TIMEOUT_SECONDS,
        )
    except (subprocess.TimeoutExpired, FileNotFoundError):
        return ""
    return done.stdout if done.returncode == 0 else ""
