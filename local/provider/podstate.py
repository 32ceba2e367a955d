"""Says what is wrong with pods: which container, since when, and whether waiting can still help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local.provider import objects
from local.provider.values import Object, as_list, as_object, pluck

CRASHES_BEFORE_GIVING_UP: Final = 6
"""Restarts after which a crashing container is not waited for any longer: some four minutes of back-off."""
_HOPELESS_REASONS: Final = frozenset({"ErrImageNeverPull", "ImagePullBackOff", "InvalidImageName"})
_PROBLEM_REASONS: Final = _HOPELESS_REASONS | {
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImagePull",
    "RunContainerError",
}


@dataclass(frozen=True)
class ContainerTrouble:
    """A container that is not running as it should."""

    pod: str
    container: str
    description: str
    restarts: int
    is_hopeless: bool
    has_run: bool
    """It has been started before, so that the log of its last run can be read."""


def troubles(pods: Sequence[Object]) -> Iterator[ContainerTrouble]:
    """Yield what is wrong with the containers of `pods`; pods that are being deleted do not count."""
    for pod in pods:
        if pluck(pod, "metadata", "deletionTimestamp") is not None:
            continue
        for group in ("initContainerStatuses", "containerStatuses"):
            for status in as_list(pluck(pod, "status", group)):
                trouble = _trouble(pod, as_object(status))
                if trouble is not None:
                    yield trouble


def pod_problems(pods: Sequence[Object]) -> list[str]:
    """Return one sentence for each container in trouble and each pod that no node takes."""
    problems = [f"pod {it.pod}, container {it.container}: {it.description}" for it in troubles(pods)]
    return problems + [message for pod in pods if (message := _unschedulable(pod)) is not None]


def failed_pod(pods: Sequence[Object]) -> str | None:
    """Return why waiting for `pods` is in vain, or None while it is not."""
    for it in troubles(pods):
        if it.is_hopeless:
            return f"pod {it.pod}, container {it.container}: {it.description}"
    return None


def _trouble(pod: Object, status: Object) -> ContainerTrouble | None:
    waiting, ended = as_object(pluck(status, "state", "waiting")), as_object(pluck(status, "state", "terminated"))
    last_end = as_object(pluck(status, "lastState", "terminated"))
    restarts = _count(status.get("restartCount"))
    reason = str(waiting.get("reason") or "")
    if reason in _PROBLEM_REASONS:
        description = f"{reason}: {waiting.get('message') or 'no message'}"
    elif ended and ended.get("exitCode") != 0:
        description = _end(ended)
    else:
        return None
    if restarts:
        description += f" (restarted {restarts} times; last time {_end(last_end)})"
    return ContainerTrouble(
        pod=objects.name(pod),
        container=str(status.get("name")),
        description=description,
        restarts=restarts,
        is_hopeless=reason in _HOPELESS_REASONS or restarts >= CRASHES_BEFORE_GIVING_UP,
        has_run=bool(restarts or ended),
    )


def _end(ended: Object) -> str:
    return f"exit code {ended.get('exitCode')}, {ended.get('reason') or 'no reason'}"


def _unschedulable(pod: Object) -> str | None:
    for condition in as_list(pluck(pod, "status", "conditions")):
        if pluck(condition, "type") == "PodScheduled" and pluck(condition, "status") == "False":
            return f"pod {objects.name(pod)} finds no node: {pluck(condition, 'message')}"
    return None


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
