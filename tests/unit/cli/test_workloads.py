from __future__ import annotations

from typing import Any

import pytest

from ml.cli.status.workloads import examine, pod_reason, unfinished_jobs


def deployment(ready: int = 0, wanted: int = 1, **status: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "server", "namespace": "research"},
        "spec": {"replicas": wanted, "selector": {"matchLabels": {"app": "server"}}},
        "status": {"readyReplicas": ready, **status} if ready else status,
    }


def pod(*containers: dict[str, Any], labels: dict[str, str] | None = None, **status: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": "server-1", "labels": labels or {"app": "server"}},
        "status": {"phase": "Running", "containerStatuses": list(containers), **status},
    }


def container(state: dict[str, Any], *, ready: bool = False, restarts: int = 0, **more: Any) -> dict[str, Any]:
    return {"name": "main", "state": state, "ready": ready, "restartCount": restarts, **more}


RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


def test_workload_is_ready_without_reason_when_all_its_pods_are() -> None:
    ready = pod(container(RUNNING, ready=True, restarts=3), conditions=[{"type": "Ready", "status": "True"}])
    found = examine(deployment(ready=1), [ready, pod(labels={"app": "other"})])
    assert (found.is_ready, found.ready, found.wanted, found.restarts, found.reason) == (True, 1, 1, 3, "")


def test_workload_is_ready_when_none_is_wanted() -> None:
    assert examine(deployment(wanted=0), []).is_ready


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (
            pod(container({"waiting": {"reason": "ErrImagePull", "message": "no such  image"}})),
            "main: ErrImagePull: no such image",
        ),
        (
            pod(
                container(
                    {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
                    lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                )
            ),
            "main: CrashLoopBackOff: last exit code 137 (OOMKilled)",
        ),
        (pod(container({"terminated": {"exitCode": 2, "reason": "Error"}})), "main: exit code 2 (Error)"),
        (pod(container(RUNNING)), "runs, but not ready yet: main"),
        (pod(container({"waiting": {"reason": "ContainerCreating"}})), "is starting"),
        (pod(phase="Pending"), "is starting"),
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: no memory"}]),
            "not scheduled: 0/1 nodes: no memory",
        ),
        (pod(phase="Failed", message="Evicted: disk"), "Evicted: disk"),
    ],
)
def test_reason_is_what_a_person_needs_when_a_pod_is_not_ready(broken: dict[str, Any], reason: str) -> None:
    assert pod_reason(broken) == reason
    assert examine(deployment(), [broken]).reason == reason


def test_reason_comes_from_the_deployment_when_no_pod_could_be_made() -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "message": "violates PodSecurity"}
    assert examine(deployment(conditions=[condition]), []).reason == "violates PodSecurity"
    assert examine(deployment(), []).reason == "no pod yet"


def test_reason_is_cut_when_it_is_very_long() -> None:
    long = pod(container({"waiting": {"reason": "X", "message": "m" * 1000}}))
    assert len(pod_reason(long)) == 300


def test_same_reason_is_said_once_when_several_pods_share_it() -> None:
    assert examine(deployment(wanted=2), [pod(container(RUNNING))] * 2).reason == "runs, but not ready yet: main"


def job(name: str, *conditions: dict[str, str]) -> dict[str, Any]:
    return {"kind": "Job", "metadata": {"name": name}, "status": {"conditions": list(conditions)}}


def test_jobs_are_listed_only_while_they_have_not_succeeded() -> None:
    failed = job("migrate", {"type": "Failed", "status": "True", "message": "backoff limit exceeded"})
    done = job("bootstrap", {"type": "Complete", "status": "True"})
    labels = {"batch.kubernetes.io/job-name": "migrate"}
    pods = [pod(container({"terminated": {"exitCode": 1, "reason": "Error"}}), labels=labels)]
    found = unfinished_jobs([failed, done, job("waiting")], pods)
    assert [(it.name, it.state) for it in found] == [("migrate", "failed"), ("waiting", "running")]
    assert found[0].reason == "backoff limit exceeded; main: exit code 1 (Error)"


def test_only_the_newest_training_counts_when_there_were_several() -> None:
    first = job("train-models-1", {"type": "Failed", "status": "True", "message": "no"})
    second = job("train-models-2", {"type": "Complete", "status": "True"})
    first["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    second["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z"
    assert unfinished_jobs([second, first], []) == []
    assert [it.name for it in unfinished_jobs([first], [])] == ["train-models-1"]
