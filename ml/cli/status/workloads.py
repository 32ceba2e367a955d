"""How ready a workload is and, if it is not, why: functions of the objects that the API server returns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

_ATTEMPT: Final = re.compile(r"-\d+$")
"""What tells the name of one training Job from the next one's."""
_STARTING: Final = frozenset({"ContainerCreating", "PodInitializing"})
_LONGEST_REASON: Final = 300

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One Deployment or StatefulSet."""

    name: str
    namespace: str
    kind: str
    ready: int
    wanted: int
    restarts: int
    """Restarts of all containers of its present pods."""
    reason: str
    """Why it is not ready; empty when it is."""

    @property
    def is_ready(self) -> bool:
        """Whether every wanted pod is ready."""
        return self.ready >= self.wanted


@dataclass(frozen=True, kw_only=True)
class UnfinishedJob:
    """A Job that has not succeeded."""

    name: str
    state: Literal["running", "failed"]
    reason: str


def examine(workload: JsonObject, pods: Sequence[JsonObject]) -> Workload:
    """Return how ready a workload is, given the pods of its namespace."""
    metadata, spec, status = workload["metadata"], workload["spec"], workload.get("status", {})
    own = [pod for pod in pods if _belongs(pod, spec["selector"].get("matchLabels", {}))]
    wanted = int(spec.get("replicas", 1))
    ready = int(status.get("readyReplicas", 0))
    return Workload(
        name=metadata["name"],
        namespace=metadata["namespace"],
        kind=workload["kind"],
        ready=ready,
        wanted=wanted,
        restarts=sum(restarts_of(pod) for pod in own),
        reason="" if ready >= wanted else _why(status, own),
    )


def unfinished_jobs(jobs: Iterable[JsonObject], pods: Sequence[JsonObject]) -> list[UnfinishedJob]:
    """Return the Jobs that run or failed; of several attempts at the same work only the newest counts."""
    newest: dict[str, JsonObject] = {}
    for job in sorted(jobs, key=lambda it: str(it["metadata"].get("creationTimestamp", ""))):
        newest[_ATTEMPT.sub("", job["metadata"]["name"])] = job
    found: list[UnfinishedJob] = []
    for job in newest.values():
        name, status = job["metadata"]["name"], job.get("status", {})
        conditions = {entry["type"]: entry for entry in _objects(status.get("conditions"))}
        if _holds(conditions, "Complete"):
            continue
        failed = _holds(conditions, "Failed")
        own = [pod for pod in pods if _belongs(pod, {"batch.kubernetes.io/job-name": name})]
        reasons = [reason for pod in own if (reason := pod_reason(pod))]
        said = [conditions["Failed"].get("message", "")] if failed else []
        found.append(
            UnfinishedJob(
                name=name,
                state="failed" if failed else "running",
                reason="; ".join(filter(None, [*said, *reasons[-1:]])),
            )
        )
    return found


def pod_reason(pod: JsonObject) -> str:
    """Return why a pod is not ready; empty when it is ready or done."""
    status = pod.get("status", {})
    if pod["metadata"].get("deletionTimestamp"):
        return "is being stopped"
    if status.get("phase") == "Succeeded":
        return ""
    conditions = {entry["type"]: entry for entry in _objects(status.get("conditions"))}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return _short(f"not scheduled: {scheduled.get('message', 'no reason given')}")
    if problems := container_problems(pod):
        return problems
    if status.get("phase") == "Failed":
        return _short(str(status.get("message") or status.get("reason") or "failed"))
    if _holds(conditions, "Ready"):
        return ""
    unready = [
        entry["name"]
        for entry in _objects(status.get("containerStatuses"))
        if "running" in entry.get("state", {}) and not entry.get("ready")
    ]
    return f"runs, but not ready yet: {', '.join(unready)}" if unready else "is starting"


def container_problems(pod: JsonObject) -> str:
    """Return what is wrong with the containers of a pod; empty when all run, start or have ended well."""
    status = pod.get("status", {})
    containers = [*_objects(status.get("initContainerStatuses")), *_objects(status.get("containerStatuses"))]
    return _short("; ".join(f"{it['name']}: {reason}" for it in containers if (reason := _container_reason(it))))


def restarts_of(pod: JsonObject) -> int:
    """Return how often the containers of a pod were started again."""
    return sum(int(entry.get("restartCount", 0)) for entry in _objects(pod.get("status", {}).get("containerStatuses")))


def _why(status: JsonObject, pods: Sequence[JsonObject]) -> str:
    reasons = [reason for pod in pods if (reason := pod_reason(pod))]
    if reasons:
        return "; ".join(dict.fromkeys(reasons))
    failures = [
        entry.get("message", "")
        for entry in _objects(status.get("conditions"))
        if entry["type"] == "ReplicaFailure" and entry.get("status") == "True"
    ]
    return _short("; ".join(failures)) or "no pod yet"


def _container_reason(container: JsonObject) -> str:
    """Return what is wrong with a container; empty when it runs, starts or has ended well."""
    state = cast("dict[str, Any]", container.get("state", {}))
    last = cast("dict[str, Any]", container.get("lastState", {})).get("terminated", {})
    if "waiting" in state:
        reason = state["waiting"].get("reason", "waiting")
        if reason in _STARTING:
            return ""
        ended = f"last exit code {last['exitCode']} ({last.get('reason', 'no reason')})" if last else ""
        message = "" if reason == "CrashLoopBackOff" else state["waiting"].get("message", "")
        return ": ".join(part for part in (reason, ended or message) if part)
    ended_badly = state.get("terminated", {})
    if ended_badly.get("exitCode", 0):
        return f"exit code {ended_badly['exitCode']} ({ended_badly.get('reason', 'no reason')})"
    return ""


def _belongs(pod: JsonObject, selector: Mapping[str, str]) -> bool:
    labels = pod["metadata"].get("labels", {})
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _holds(conditions: Mapping[str, JsonObject], name: str) -> bool:
    return conditions.get(name, {}).get("status") == "True"


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST_REASON else f"{words[: _LONGEST_REASON - 1]}…"


def _objects(value: object) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", value or [])
