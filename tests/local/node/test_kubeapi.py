from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.node.kubeapi import is_outdated, reports_ready

START = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def _text(seconds: int) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _node(status: str, heartbeat_seconds: int) -> dict[str, Any]:
    condition = {"type": "Ready", "status": status, "lastHeartbeatTime": _text(heartbeat_seconds)}
    return {"status": {"conditions": [{"type": "DiskPressure", "status": "False"}, condition]}}


@pytest.mark.parametrize(
    ("node", "ready"),
    [
        (_node("True", 0), True),
        (_node("True", 30), True),
        (_node("True", -1), False),
        (_node("False", 30), False),
        (_node("Unknown", 30), False),
        ({}, False),
    ],
)
def test_node_counts_as_ready_when_it_said_so_since_the_start(node: dict[str, Any], ready: bool) -> None:
    assert reports_ready(node, START) is ready


@pytest.mark.parametrize(
    ("state", "outdated"),
    [
        ({"running": {"startedAt": _text(-1)}}, True),
        ({"running": {"startedAt": _text(0)}}, False),
        ({"waiting": {"reason": "ImagePullBackOff"}}, False),
        ({"terminated": {"exitCode": 0}}, False),
    ],
)
def test_pod_is_outdated_when_it_claims_to_run_since_before_the_start(state: dict[str, Any], outdated: bool) -> None:
    assert is_outdated({"status": {"containerStatuses": [{"state": state}]}}, START) is outdated
    assert not is_outdated({}, START)
