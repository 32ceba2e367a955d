"""Watches objects until they are ready or gone; ends promptly when the operation is cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from local.provider import diagnosis, objects
from local.provider.discovery import Mapping
from local.provider.kubeclient import ClusterUnreachableError
from local.provider.readiness import Readiness, Related, State, assess, has_rule
from local.provider.session import Session
from local.provider.values import Object, as_list, as_object, pluck

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 2.0
_GROWTH: Final = 1.3
_QUIET_SECONDS: Final = 1.0
"""Shorter waits are not worth a message."""
_WORKLOADS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "Pod"})


class VanishedError(Exception):
    """The object was deleted by somebody while it was waited for."""


@dataclass(frozen=True)
class Outcome:
    """How a wait ended."""

    live: Object
    readiness: Readiness
    findings: tuple[str, ...] = ()
    """Events and log lines that explain why the object is not ready."""


class _Pace:
    """How often a wait looks again, how long it lasts, and what it says meanwhile."""

    def __init__(self, timeout_seconds: float, clock: Callable[[], float], report: Callable[[str], None]) -> None:
        self._clock = clock
        self._report = report
        self._started = clock()
        self._deadline = self._started + timeout_seconds
        self._next_pause_seconds = _FIRST_PAUSE_SECONDS
        self._said = ""

    @property
    def is_over(self) -> bool:
        """The time is up."""
        return self._clock() >= self._deadline

    def say(self, message: str) -> None:
        """Report a message that is new."""
        if message != self._said and self._clock() - self._started >= _QUIET_SECONDS:
            self._said = message
            self._report(message)

    def end(self) -> None:
        """Take back what was said: it is no longer true."""
        if self._said:
            self._report("")

    def pause_seconds(self) -> float:
        """Return how long to wait before looking again: each time a little longer."""
        pause_seconds = min(self._next_pause_seconds, max(0.0, self._deadline - self._clock()))
        self._next_pause_seconds = min(self._next_pause_seconds * _GROWTH, _LONGEST_PAUSE_SECONDS)
        return pause_seconds


class Waiter:
    """Waits for objects of one session."""

    def __init__(self, session: Session, clock: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._clock = clock

    def look(self, live: Object) -> Outcome:
        """Return how far an object is right now."""
        readiness = self._assess(live)
        return Outcome(live, readiness, () if readiness.is_ready else self._findings(live))

    def until_ready(
        self, live: Object, mapping: Mapping, timeout_seconds: float, report: Callable[[str], None]
    ) -> Outcome:
        """Wait until an object is ready, has failed, or `timeout_seconds` have passed.

        Args:
            live: the object as the API server returned it last.
            mapping: how its kind is addressed.
            timeout_seconds: the longest wait.
            report: told what is waited for, each time that changes.

        Raises:
            VanishedError: the object is gone.
        """
        if not has_rule(live):
            return Outcome(live, Readiness(State.READY))
        pace = _Pace(timeout_seconds, self._clock, report)
        while True:
            live, readiness = self._observe(live, mapping)
            if readiness.is_ready:
                pace.end()
                return Outcome(live, readiness)
            if readiness.state is State.FAILED:
                break
            pace.say(readiness.message)
            if pace.is_over:
                readiness = Readiness(State.FAILED, f"not ready after {timeout_seconds:g} s: {readiness.message}")
                break
            if self._session.cancelled.wait(pace.pause_seconds()):
                return Outcome(live, Readiness(State.FAILED, f"cancelled before it was ready: {readiness.message}"))
        return Outcome(live, readiness, self._findings(live))

    def until_gone(self, live: Object, mapping: Mapping, timeout_seconds: float, report: Callable[[str], None]) -> None:
        """Wait until an object no longer exists.

        Raises:
            TimeoutError: it still exists; the message says what holds it.
        """
        pace = _Pace(timeout_seconds, self._clock, report)
        while True:
            try:
                found = self._session.client.find(mapping.path(live))
            except ClusterUnreachableError as error:
                holder = f"the API server does not answer: {error}"
            else:
                if found is None or objects.uid(found) != objects.uid(live):
                    pace.end()
                    return
                holder = _what_holds(found)
            pace.say(f"being deleted: {holder}")
            if pace.is_over:
                raise TimeoutError(f"still exists after {timeout_seconds:g} s: {holder}")
            if self._session.cancelled.wait(pace.pause_seconds()):
                raise TimeoutError(f"cancelled while it was being deleted: {holder}")

    def _observe(self, live: Object, mapping: Mapping) -> tuple[Object, Readiness]:
        """Return the object as it is now and how far it is; an API server that is away for a while is waited for."""
        try:
            found = self._session.client.find(mapping.path(live))
            if found is None or objects.uid(found) != objects.uid(live):
                raise VanishedError(f"{objects.display_name(live)} was deleted while it was waited for")
            return found, self._assess(found)
        except ClusterUnreachableError as error:
            return live, Readiness(State.WAITING, f"the API server does not answer: {error}")

    def _assess(self, live: Object) -> Readiness:
        readiness = assess(live, self._direct_relations(live))
        if readiness.is_ready or objects.kind(live) not in _WORKLOADS:
            return readiness
        return assess(live, Related(pods=self._pods(live)))

    def _findings(self, live: Object) -> tuple[str, ...]:
        try:
            pods = self._pods(live) if objects.kind(live) in _WORKLOADS else []
        except ClusterUnreachableError:
            return ()  # the failure itself is still reported
        return tuple(diagnosis.explain(self._session.client, pods, live))

    def _direct_relations(self, live: Object) -> Related:
        client = self._session.client
        if objects.kind(live) == "Service" and objects.group(live) == "":
            path = f"/apis/discovery.k8s.io/v1/namespaces/{objects.namespace(live)}/endpointslices"
            selector = f"kubernetes.io/service-name={objects.name(live)}"
            return Related(endpoint_slices=client.list(path, labelSelector=selector))
        class_name = pluck(live, "spec", "storageClassName")
        if objects.kind(live) == "PersistentVolumeClaim" and class_name:
            return Related(storage_class=client.find(f"/apis/storage.k8s.io/v1/storageclasses/{class_name}"))
        return Related()

    def _pods(self, live: Object) -> list[Object]:
        """Return the pods that the current version of an object has made."""
        if objects.kind(live) == "Pod":
            return [live]
        owner, labels = live, ""
        if objects.kind(live) == "Deployment":
            newest = self._newest_replica_set(live)
            if newest is None:
                return []
            owner = newest
        if objects.kind(live) == "StatefulSet":
            labels = f"controller-revision-hash={pluck(live, 'status', 'updateRevision')}"
        path = f"/api/v1/namespaces/{objects.namespace(live)}/pods"
        selectors = [_label_selector(owner), labels]
        found = self._session.client.list(path, labelSelector=",".join(part for part in selectors if part))
        return [pod for pod in found if _is_owned_by(pod, owner)]

    def _newest_replica_set(self, deployment: Object) -> Object | None:
        path = f"/apis/apps/v1/namespaces/{objects.namespace(deployment)}/replicasets"
        sets = self._session.client.list(path, labelSelector=_label_selector(deployment))
        owned = [item for item in sets if _is_owned_by(item, deployment)]
        return max(owned, key=_revision, default=None)


def _is_owned_by(obj: Object, owner: Object) -> bool:
    references = as_list(pluck(obj, "metadata", "ownerReferences"))
    return any(pluck(reference, "uid") == objects.uid(owner) for reference in references)


def _revision(replica_set: Object) -> int:
    return int(objects.annotation(replica_set, "deployment.kubernetes.io/revision") or 0)


def _label_selector(obj: Object) -> str:
    labels = as_object(pluck(obj, "spec", "selector", "matchLabels"))
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _what_holds(obj: Object) -> str:
    holders = [f"finalizer {finalizer}" for finalizer in as_list(pluck(obj, "metadata", "finalizers"))]
    conditions = [as_object(condition) for condition in as_list(pluck(obj, "status", "conditions"))]
    if objects.kind(obj) == "Namespace":
        holders += [str(condition.get("message")) for condition in conditions if condition.get("status") == "True"]
    return ", ".join(holders) or "its deletion is under way"
