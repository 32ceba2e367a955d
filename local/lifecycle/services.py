"""Finds what has to be helped on after a repair, and what everything else waits for. Pure: objects in, names out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from local.provider.objects import OWNER_ANNOTATION

KubeObject = Mapping[str, Any]

_OWN_RESTARTERS = {"ReplicaSet", "StatefulSet"}
"""Owners that make a deleted pod anew and count nothing."""


def workloads(outputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what has to be ready before models can be trained and served, in the order of need."""
    return (
        f"statefulset/{outputs['metadataDb']['service']}",
        f"statefulset/{outputs['objectStore']['service']}",
        f"deployment/{outputs['trackingServer']['service']}",
    )


def stuck(objects: Sequence[KubeObject]) -> list[KubeObject]:
    """Return the pods and Jobs that failed before and should be made anew at once, now that the cause may be gone.

    Kubernetes starts a crashing pod again only after a pause of up to five minutes, and a Job that has failed never.
    The engine makes a Job of the stack anew that is missing; other Jobs are left alone.

    Args:
        objects: all pods and Jobs.
    """
    crashing = [item for item in objects if item["kind"] == "Pod" and _is_backed_off(item)]
    crashing_jobs = {(_namespace(pod), name) for pod in crashing for kind, name in _owners(pod) if kind == "Job"}
    jobs = [
        item
        for item in objects
        if item["kind"] == "Job"
        and OWNER_ANNOTATION in item["metadata"].get("annotations", {})
        and (_has_failed(item) or (_namespace(item), item["metadata"]["name"]) in crashing_jobs)
    ]
    pods = [pod for pod in crashing if any(kind in _OWN_RESTARTERS for kind, _ in _owners(pod))]
    return [*jobs, *pods]


def _is_backed_off(pod: KubeObject) -> bool:
    status = pod.get("status", {})
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return any(
        container.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff" for container in containers
    )


def _has_failed(job: KubeObject) -> bool:
    conditions = job.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Failed" and condition["status"] == "True" for condition in conditions)


def _owners(pod: KubeObject) -> list[tuple[str, str]]:
    return [(owner["kind"], owner["name"]) for owner in pod["metadata"].get("ownerReferences", [])]


def _namespace(item: KubeObject) -> str:
    return str(item["metadata"].get("namespace", ""))
