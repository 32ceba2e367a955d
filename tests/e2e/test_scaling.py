"""KEDA at work: a slot that gets more pods under load and loses them again, while somebody asks all the time."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e import scaling
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.scaling import LEAST, MOST, WORKLOAD, Visitors

# On a machine with little to do all of it takes six minutes; what it may take here says nothing.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2_400)]

_GROWN_SECONDS = 300
_SHRUNK_SECONDS = 600


@pytest.fixture(scope="module")
def scaled(cluster: Cluster) -> Iterator[Cluster]:
    """The platform with KEDA deciding about its slots."""
    with scaling.scaled(cluster):
        yield cluster


def test_expected_prerequisite_is_found_when_the_node_has_brought_it(scaled: Cluster) -> None:
    operator = json.loads(
        scaled.kubectl(
            "get", "deployments", "-l", "app.kubernetes.io/name=keda-operator", "-o", "json", namespace="keda"
        )
    )["items"]
    assert [item["status"]["readyReplicas"] for item in operator] == [1]


def test_no_request_fails_when_a_slot_grows_and_shrinks_with_its_load(scaled: Cluster) -> None:
    with Visitors(scaled) as visitors:
        visitors.are(1, rest_seconds=0.5)
        eventually(
            lambda: scaling.sees_both_measures(scaled), within_seconds=180, what="the autoscaler sees CPU and requests"
        )
        # Pods that have just started have loaded a model, which looks like load.
        eventually(lambda: scaling.rests(scaled), within_seconds=_SHRUNK_SECONDS, what=f"{LEAST} pod is enough")
        visitors.are(10)
        eventually(
            lambda: len(scaling.serving(scaled)) == MOST, within_seconds=_GROWN_SECONDS, what=f"{MOST} pods serve"
        )
        before = {pod: scaling.served(scaled, pod) for pod in scaling.serving(scaled)}
        eventually(
            lambda: all(scaling.served(scaled, pod) > count for pod, count in before.items()),
            within_seconds=60,
            what="each pod gets its share",
        )
        visitors.are(1, rest_seconds=0.5)
        # Those that end answer what they have in hand first, and somebody goes on asking meanwhile.
        eventually(lambda: scaling.rests(scaled), within_seconds=_SHRUNK_SECONDS, what=f"{LEAST} pod is left")
    assert visitors.failed == []
    print(f"{WORKLOAD}: {LEAST} -> {MOST} -> {LEAST} pods under {len(visitors.visits)} requests, none failed")


def test_nothing_changes_when_up_runs_while_an_autoscaler_decides(scaled: Cluster) -> None:
    scaled.platform.stack.preview(expect_no_changes=True)
