"""Decides from objects alone whether one is ready, what it waits for, or why it never will be.

The rules are the official provider's for the kinds that a stack declares, with two additions: an image that cannot
be pulled and a container that keeps crashing end the wait early, because waiting longer would not change them.
Kinds without a rule, custom resources among them, are ready as soon as they exist.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from local.provider import objects
from local.provider.podstate import failed_pod, pod_problems
from local.provider.values import Object, as_list, as_object, pluck

DEFAULT_TIMEOUT_SECONDS: Final = 600.0


class State(Enum):
    """How far an object is."""

    READY = "ready"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True)
class Readiness:
    """How far an object is and, unless it is ready, a sentence that says why."""

    state: State
    message: str = ""

    @property
    def is_ready(self) -> bool:
        """The object does what it is for."""
        return self.state is State.READY


@dataclass(frozen=True, kw_only=True)
class Related:
    """What else has to be looked at to judge an object."""

    pods: Sequence[Object] = field(default_factory=list[Object])
    endpoint_slices: Sequence[Object] = field(default_factory=list[Object])
    storage_class: Object | None = None


READY: Final = Readiness(State.READY)


def _waiting(message: str) -> Readiness:
    return Readiness(State.WAITING, message)


def _failed(message: str) -> Readiness:
    return Readiness(State.FAILED, message)


def assess(obj: Object, related: Related) -> Readiness:
    """Return how far `obj` is, as read together with `related`."""
    rule = _RULES.get((objects.group(obj), objects.kind(obj)))
    if rule is None:
        return READY
    if objects.group(obj) == "apps" and _number(obj, "status", "observedGeneration") < _number(
        obj, "metadata", "generation"
    ):
        return _waiting("its controller has not looked at it yet")
    verdict = rule(obj, related)
    if verdict.state is State.WAITING and (problem := failed_pod(related.pods)) is not None:
        return _failed(problem)
    if not verdict.is_ready and (problems := pod_problems(related.pods)):
        return Readiness(verdict.state, "; ".join([verdict.message, *problems]))
    return verdict


def has_rule(obj: Object) -> bool:
    """Tell whether objects of this kind become ready some time after they were made."""
    return (objects.group(obj), objects.kind(obj)) in _RULES


def _deployment(obj: Object, _: Related) -> Readiness:
    if pluck(obj, "spec", "paused") is True:
        return READY
    wanted = _number(obj, "spec", "replicas", default=1)
    updated = _number(obj, "status", "updatedReplicas")
    available = _number(obj, "status", "availableReplicas")
    total = _number(obj, "status", "replicas")
    stalled = _condition(obj, "Progressing")
    if stalled.get("status") == "False":
        return _failed(f"rollout failed: {stalled.get('reason')}: {stalled.get('message')}")
    refused = _condition(obj, "ReplicaFailure")
    if updated < wanted and refused.get("status") == "True":
        return _waiting(f"pods cannot be made: {refused.get('message')}")
    if updated < wanted:
        return _waiting(f"{updated} of {wanted} pods are of the new version")
    if total > updated:
        return _waiting(f"{total - updated} old pods are still there")
    if available < updated:
        return _waiting(f"{available} of {updated} pods are available")
    return READY


def _stateful_set(obj: Object, _: Related) -> Readiness:
    wanted = _number(obj, "spec", "replicas", default=1)
    ready = _number(obj, "status", "readyReplicas")
    updated = _number(obj, "status", "updatedReplicas")
    is_rolling = pluck(obj, "spec", "updateStrategy", "type") in (None, "RollingUpdate")
    partition = _number(obj, "spec", "updateStrategy", "rollingUpdate", "partition")
    if is_rolling and updated < wanted - partition:
        return _waiting(f"{updated} of {wanted - partition} pods are of the new version")
    if ready < wanted:
        return _waiting(f"{ready} of {wanted} pods are ready")
    return READY


def _daemon_set(obj: Object, _: Related) -> Readiness:
    wanted = _number(obj, "status", "desiredNumberScheduled")
    updated = _number(obj, "status", "updatedNumberScheduled")
    available = _number(obj, "status", "numberAvailable")
    if min(updated, available) < wanted:
        return _waiting(f"{min(updated, available)} of {wanted} pods are available")
    return READY


def _job(obj: Object, _: Related) -> Readiness:
    if pluck(obj, "spec", "suspend") is True or _condition(obj, "Complete").get("status") == "True":
        return READY
    failure = _condition(obj, "Failed")
    if failure.get("status") == "True":
        return _failed(f"the Job failed: {failure.get('reason')}: {failure.get('message')}")
    succeeded, wanted = _number(obj, "status", "succeeded"), _number(obj, "spec", "completions", default=1)
    return _waiting(f"{succeeded} of {wanted} runs have succeeded")


def _pod(obj: Object, _: Related) -> Readiness:
    phase = pluck(obj, "status", "phase")
    if phase == "Succeeded" or (phase == "Running" and _condition(obj, "Ready").get("status") == "True"):
        return READY
    if phase == "Failed":
        return _failed(f"the pod failed: {pluck(obj, 'status', 'reason') or 'a container exited with an error'}")
    return _waiting(f"the pod is {phase or 'Pending'} and not ready")


def _claim(obj: Object, related: Related) -> Readiness:
    phase = pluck(obj, "status", "phase")
    waits_for_pod = pluck(related.storage_class, "volumeBindingMode") == "WaitForFirstConsumer"
    if phase == "Bound" or (phase != "Lost" and waits_for_pod):
        return READY
    if phase == "Lost":
        return _failed("its volume is lost")
    return _waiting(f"no volume is bound (storage class {pluck(obj, 'spec', 'storageClassName')!r})")


def _service(obj: Object, related: Related) -> Readiness:
    kind = pluck(obj, "spec", "type")
    if kind == "LoadBalancer" and not pluck(obj, "status", "loadBalancer", "ingress"):
        return _waiting("no address has been assigned; is there a load balancer?")
    is_headless = pluck(obj, "spec", "clusterIP") == "None"
    if kind == "ExternalName" or is_headless or not pluck(obj, "spec", "selector"):
        return READY
    if any(_is_serving(endpoint) for piece in related.endpoint_slices for endpoint in as_list(piece.get("endpoints"))):
        return READY
    selector = ",".join(f"{key}={value}" for key, value in as_object(pluck(obj, "spec", "selector")).items())
    return _waiting(f"no pod that is ready has the labels {selector}")


def _namespace(obj: Object, _: Related) -> Readiness:
    phase = pluck(obj, "status", "phase")
    return READY if phase == "Active" else _waiting(f"the namespace is {phase}")


def _is_serving(endpoint: Any) -> bool:
    return pluck(endpoint, "conditions", "ready") is not False and bool(as_list(pluck(endpoint, "addresses")))


def _condition(obj: Object, kind: str) -> Object:
    conditions = [as_object(condition) for condition in as_list(pluck(obj, "status", "conditions"))]
    return next((condition for condition in conditions if condition.get("type") == kind), Object())


def _number(obj: Object, *path: str, default: int = 0) -> int:
    value = pluck(obj, *path)
    return value if isinstance(value, int) else default


_RULES: Final[dict[tuple[str, str], Callable[[Object, Related], Readiness]]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
    ("", "Pod"): _pod,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
    ("", "Namespace"): _namespace,
}
