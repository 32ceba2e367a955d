from __future__ import annotations

from typing import Any

import pytest

from local.lifecycle import services
from local.provider.objects import OWNER_ANNOTATION


def _pod(owner: str, reason: str | None) -> dict[str, Any]:
    state: dict[str, Any] = {"waiting": {"reason": reason}} if reason else {"running": {}}
    return {
        "kind": "Pod",
        "metadata": {"name": "pod-1", "namespace": "research", "ownerReferences": [{"kind": owner, "name": "owner"}]},
        "status": {"containerStatuses": [{"name": "server", "state": state}]},
    }


def _job(*, ours: bool = True, condition: str | None = None) -> dict[str, Any]:
    annotations = {OWNER_ANNOTATION: "urn"} if ours else {}
    conditions = [{"type": condition, "status": "True"}] if condition else []
    return {
        "kind": "Job",
        "metadata": {"name": "owner", "namespace": "research", "annotations": annotations},
        "status": {"conditions": conditions},
    }


def _names(*objects: dict[str, Any]) -> list[str]:
    return [f"{item['kind']}/{item['metadata']['name']}" for item in services.stuck(objects)]


@pytest.mark.parametrize("owner", ["StatefulSet", "ReplicaSet"])
def test_pod_is_made_anew_when_it_keeps_crashing(owner: str) -> None:
    assert _names(_pod(owner, "CrashLoopBackOff")) == ["Pod/pod-1"]


@pytest.mark.parametrize("reason", ["ContainerCreating", "ImagePullBackOff", None])
def test_pod_is_left_alone_when_it_does_not_wait_for_a_restart(reason: str | None) -> None:
    assert _names(_pod("StatefulSet", reason), {"kind": "Pod", "metadata": {"name": "bare"}}) == []


def test_job_is_made_anew_when_it_has_failed() -> None:
    assert _names(_job(condition="Failed")) == ["Job/owner"]


def test_job_is_made_anew_and_not_its_pod_when_that_keeps_crashing() -> None:
    assert _names(_pod("Job", "CrashLoopBackOff"), _job()) == ["Job/owner"]


def test_job_is_left_alone_when_it_is_well_done_or_not_the_stack_s() -> None:
    assert _names(_job(), _job(condition="Complete"), _job(ours=False, condition="Failed")) == []


def test_services_come_in_the_order_in_which_they_need_each_other() -> None:
    outputs = {
        "metadataDb": {"service": "db"},
        "objectStore": {"service": "store"},
        "trackingServer": {"service": "mlflow"},
    }
    assert services.workloads(outputs) == ("statefulset/db", "statefulset/store", "deployment/mlflow")
