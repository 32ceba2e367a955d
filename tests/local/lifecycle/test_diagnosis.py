"""Which pods are named as sick, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from local.lifecycle.diagnosis import report, sick_pods


def _pod(name: str, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "ns", "name": name, "labels": {"app.kubernetes.io/name": "part"}},
        "status": status,
    }


def _container(state: dict[str, Any], restarts: int = 0) -> dict[str, Any]:
    return {"name": "main", "restartCount": restarts, "state": state}


def test_pod_is_named_with_its_reason_when_its_image_is_missing() -> None:
    waiting = {"waiting": {"reason": "ErrImageNeverPull", "message": "image x is not present"}}
    (sick,) = sick_pods([_pod("a", phase="Pending", containerStatuses=[_container(waiting)])])
    assert sick.component == "part"
    assert sick.reason == "main: ErrImageNeverPull: image x is not present"
    assert sick.containers == ()


def test_pod_s_log_is_wanted_when_it_crashes() -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    (sick,) = sick_pods([_pod("a", phase="Running", containerStatuses=[_container(waiting, restarts=3)])])
    assert sick.containers == ("main",)


def test_exit_code_is_given_when_a_container_ended_with_an_error() -> None:
    ended = {"terminated": {"exitCode": 2, "reason": "Error"}}
    (sick,) = sick_pods([_pod("a", phase="Failed", initContainerStatuses=[_container(ended)])])
    assert "exit code 2" in sick.reason


def test_pod_is_named_when_no_node_takes_it() -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: insufficient memory"}
    (sick,) = sick_pods([_pod("a", phase="Pending", conditions=[condition])])
    assert "insufficient memory" in sick.reason


def test_pod_is_left_out_when_it_is_healthy_starting_or_done() -> None:
    starting = _container({"waiting": {"reason": "ContainerCreating"}})
    running = _container({"running": {"startedAt": "2026-01-01T00:00:00Z"}})
    pods = [
        _pod("starting", phase="Pending", containerStatuses=[starting]),
        _pod("running", phase="Running", containerStatuses=[running]),
        _pod("done", phase="Succeeded", containerStatuses=[_container({"terminated": {"exitCode": 0}})]),
    ]
    assert sick_pods(pods) == []


def test_log_is_the_one_that_is_still_there_when_the_container_before_was_removed(tmp_path: Path) -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    pods = {"items": [_pod("a", phase="Running", containerStatuses=[_container(waiting, restarts=1)])]}
    (tmp_path / "pods.json").write_text(json.dumps(pods))
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        f"""#!/bin/sh
case "$*" in
    *"get pods"*) cat {tmp_path}/pods.json ;;
    *"get events"*) echo '{{"items": []}}' ;;
    *--previous*) echo 'unable to retrieve container logs for containerd://abc' ;;
    *logs*) echo 'the cause' ;;
esac
"""
    )
    kubectl.chmod(0o755)
    lines = report({"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert "      the cause" in lines
    assert not any("unable to retrieve" in line for line in lines)


def test_report_is_empty_when_nobody_answers() -> None:
    assert report({"PATH": "/nonexistent", "KUBECONFIG": "/nonexistent"}) == []
