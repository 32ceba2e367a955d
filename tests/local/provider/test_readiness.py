"""When objects count as ready. Statuses are written by hand; test_engine_trouble has those of real controllers."""

from __future__ import annotations

from typing import Any

import pytest

from local.provider.readiness import Related, State, assess, has_rule
from local.provider.values import Object


def _object(kind: str, api_version: str, spec: Any = None, status: Any = None, generation: int = 1) -> Object:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "x", "generation": generation},
        "spec": spec or {},
        "status": status or {},
    }


def _deployment(generation: int = 1, **status: Any) -> Object:
    return _object("Deployment", "apps/v1", {"replicas": 2}, {"observedGeneration": 1, **status}, generation)


def _pod(*statuses: Object, **fields: Any) -> Object:
    return {"kind": "Pod", "metadata": {"name": "x-1", **fields}, "status": {"containerStatuses": list(statuses)}}


def _waiting(reason: str, restarts: int = 0) -> Object:
    state = {"waiting": {"reason": reason, "message": "because"}}
    last = {"terminated": {"exitCode": 3, "reason": "Error"}} if restarts else {}
    return {"name": "main", "state": state, "lastState": last, "restartCount": restarts}


def test_a_deployment_is_ready_when_all_new_pods_are_available() -> None:
    assert assess(_deployment(replicas=2, updatedReplicas=2, availableReplicas=2), Related()).is_ready


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ({}, "0 of 2 pods are of the new version"),
        ({"updatedReplicas": 1, "replicas": 2}, "1 of 2 pods are of the new version"),
        ({"updatedReplicas": 2, "replicas": 3}, "1 old pods are still there"),
        ({"updatedReplicas": 2, "replicas": 2, "availableReplicas": 1}, "1 of 2 pods are available"),
        (
            {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "quota exceeded"}]},
            "pods cannot be made: quota exceeded",
        ),
    ],
)
def test_a_deployment_waits_when_pods_are_missing(status: Object, message: str) -> None:
    readiness = assess(_deployment(**status), Related())

    assert (readiness.state, readiness.message) == (State.WAITING, message)


def test_a_deployment_waits_when_its_controller_has_not_seen_the_change() -> None:
    stale = _deployment(generation=2, replicas=2, updatedReplicas=2, availableReplicas=2)

    assert assess(stale, Related()).message == "its controller has not looked at it yet"


def test_a_deployment_fails_when_its_deadline_has_passed() -> None:
    condition = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow"}

    readiness = assess(_deployment(conditions=[condition]), Related())

    assert readiness.state is State.FAILED
    assert "ProgressDeadlineExceeded: too slow" in readiness.message


def test_a_deployment_is_ready_when_paused() -> None:
    paused = _object("Deployment", "apps/v1", {"paused": True}, {"observedGeneration": 1})

    assert assess(paused, Related()).is_ready


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"])
def test_waiting_ends_when_an_image_cannot_be_had(reason: str) -> None:
    readiness = assess(_deployment(), Related(pods=[_pod(_waiting(reason))]))

    assert readiness.state is State.FAILED
    assert readiness.message == f"pod x-1, container main: {reason}: because"


def test_waiting_goes_on_when_a_container_has_crashed_a_few_times() -> None:
    readiness = assess(_deployment(), Related(pods=[_pod(_waiting("CrashLoopBackOff", restarts=2))]))

    assert readiness.state is State.WAITING
    assert "restarted 2 times; last time exit code 3, Error" in readiness.message


def test_waiting_ends_when_a_container_keeps_crashing() -> None:
    readiness = assess(_deployment(), Related(pods=[_pod(_waiting("CrashLoopBackOff", restarts=6))]))

    assert readiness.state is State.FAILED


def test_pods_that_are_going_do_not_count_when_they_crash() -> None:
    going = _pod(_waiting("CrashLoopBackOff", restarts=9), deletionTimestamp="now")

    assert assess(_deployment(), Related(pods=[going])).state is State.WAITING


def test_the_reason_is_given_when_no_node_takes_a_pod() -> None:
    pod = _pod()
    pod["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "message": "no memory"}]

    assert "pod x-1 finds no node: no memory" in assess(_deployment(), Related(pods=[pod])).message


@pytest.mark.parametrize(
    ("spec", "status", "state"),
    [
        ({"replicas": 2}, {"readyReplicas": 2, "updatedReplicas": 2}, State.READY),
        ({"replicas": 2}, {"readyReplicas": 2, "updatedReplicas": 1}, State.WAITING),
        ({"replicas": 2}, {"readyReplicas": 1, "updatedReplicas": 2}, State.WAITING),
        ({"replicas": 0}, {}, State.READY),
        ({"replicas": 2, "updateStrategy": {"type": "OnDelete"}}, {"readyReplicas": 2}, State.READY),
        (
            {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
            {"readyReplicas": 3, "updatedReplicas": 1},
            State.READY,
        ),
    ],
)
def test_a_stateful_set_is_ready_when_its_pods_are_new_and_ready(spec: Object, status: Object, state: State) -> None:
    stateful_set = _object("StatefulSet", "apps/v1", spec, {"observedGeneration": 1, **status})

    assert assess(stateful_set, Related()).state is state


def test_a_daemon_set_is_ready_when_every_node_has_a_new_pod() -> None:
    status = {"observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2}

    assert not assess(_object("DaemonSet", "apps/v1", {}, {**status, "numberAvailable": 1}), Related()).is_ready
    assert assess(_object("DaemonSet", "apps/v1", {}, {**status, "numberAvailable": 2}), Related()).is_ready


@pytest.mark.parametrize(
    ("spec", "status", "state"),
    [
        ({}, {"conditions": [{"type": "Complete", "status": "True"}]}, State.READY),
        ({}, {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}, State.FAILED),
        ({}, {"active": 1}, State.WAITING),
        ({"suspend": True}, {}, State.READY),
    ],
)
def test_a_job_is_ready_when_it_is_complete(spec: Object, status: Object, state: State) -> None:
    assert assess(_object("Job", "batch/v1", spec, status), Related()).state is state


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}, State.READY),
        ({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}, State.WAITING),
        ({"phase": "Succeeded"}, State.READY),
        ({"phase": "Failed", "reason": "Evicted"}, State.FAILED),
        ({}, State.WAITING),
    ],
)
def test_a_pod_is_ready_when_it_runs_and_says_so(status: Object, state: State) -> None:
    assert assess(_object("Pod", "v1", {}, status), Related()).state is state


def test_a_claim_is_ready_when_bound_or_when_it_waits_for_a_pod() -> None:
    pending = _object("PersistentVolumeClaim", "v1", {"storageClassName": "standard"}, {"phase": "Pending"})
    late = Related(storage_class={"volumeBindingMode": "WaitForFirstConsumer"})

    assert assess(_object("PersistentVolumeClaim", "v1", {}, {"phase": "Bound"}), Related()).is_ready
    assert assess(pending, late).is_ready
    assert assess(pending, Related()).state is State.WAITING
    assert assess(_object("PersistentVolumeClaim", "v1", {}, {"phase": "Lost"}), late).state is State.FAILED


@pytest.mark.parametrize(
    "spec", [{"type": "ExternalName"}, {"clusterIP": "None", "selector": {"a": "1"}}, {"clusterIP": "10.96.0.1"}]
)
def test_a_service_is_ready_at_once_when_it_selects_no_pods_to_wait_for(spec: Object) -> None:
    assert assess(_object("Service", "v1", spec), Related()).is_ready


def test_a_service_is_ready_when_a_pod_behind_it_is() -> None:
    service = _object("Service", "v1", {"clusterIP": "10.96.0.1", "selector": {"app": "web"}})
    serving = {"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}]}
    starting = {"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": False}}]}

    assert assess(service, Related(endpoint_slices=[starting, serving])).is_ready
    assert assess(service, Related(endpoint_slices=[starting])).message == "no pod that is ready has the labels app=web"


def test_a_load_balancer_waits_when_it_has_no_address() -> None:
    spec = {"type": "LoadBalancer", "clusterIP": "10.96.0.1"}

    assert assess(_object("Service", "v1", spec), Related()).state is State.WAITING
    assert assess(_object("Service", "v1", spec, {"loadBalancer": {"ingress": [{"ip": "1"}]}}), Related()).is_ready


def test_custom_resources_are_ready_when_they_exist() -> None:
    custom = _object("VirtualService", "networking.istio.io/v1", generation=5)

    assert assess(custom, Related()).is_ready
    assert not has_rule(custom)


def test_a_namespace_is_not_ready_when_it_is_ending() -> None:
    assert assess(_object("Namespace", "v1", {}, {"phase": "Active"}), Related()).is_ready
    assert not assess(_object("Namespace", "v1", {}, {"phase": "Terminating"}), Related()).is_ready
