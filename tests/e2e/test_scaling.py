"""KEDA at work: parts that get more pods under load, a slot that loses them again; somebody asks all the time."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e import scaling
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.scaling import API, LEAST, SHRUNK_SECONDS, SLOT, TRACKING_SERVER, Part
from tests.e2e.visitors import Visitors

# On a machine with little to do all of it takes six minutes; what it may take here says nothing.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2_400)]

_GROWN_SECONDS = 300


@pytest.fixture(scope="module")
def scaled(cluster: Cluster) -> Iterator[Cluster]:
    """The platform with KEDA deciding how many pods its parts have."""
    with scaling.scaled(cluster):
        yield cluster


def test_expected_prerequisite_is_found_when_the_node_has_brought_it(scaled: Cluster) -> None:
    operator = json.loads(
        scaled.kubectl(
            "get", "deployments", "-l", "app.kubernetes.io/name=keda-operator", "-o", "json", namespace="keda"
        )
    )["items"]
    assert [item["status"]["readyReplicas"] for item in operator] == [1]


@pytest.mark.parametrize("part", [API, TRACKING_SERVER], ids=lambda part: part.workload)
def test_no_request_fails_when_a_part_grows_with_the_requests_for_it(scaled: Cluster, part: Part) -> None:
    with Visitors(part.ask(scaled)) as visitors:
        _wait_for_rest(scaled, part)
        visitors.are(4, rest_seconds=0.1)
        _wait_for_growth(scaled, part)
    assert visitors.failed == []
    assert visitors.visits
    print(f"{part.workload}: {LEAST} -> {part.most} pods, {len(visitors.visits)} requests, none failed")


def test_nothing_changes_when_up_runs_while_an_autoscaler_decides(scaled: Cluster) -> None:
    scaled.platform.stack.preview(expect_no_changes=True)


def test_no_request_fails_when_a_slot_grows_and_shrinks_with_its_load(scaled: Cluster) -> None:
    with Visitors(SLOT.ask(scaled)) as visitors:
        visitors.are(1, rest_seconds=0.5)
        _wait_for_rest(scaled, SLOT)
        visitors.are(10)
        _wait_for_growth(scaled, SLOT)
        before = {pod: scaling.served(scaled, pod) for pod in scaling.serving(scaled, SLOT)}
        eventually(
            lambda: all(scaling.served(scaled, pod) > count for pod, count in before.items()),
            within_seconds=60,
            what="each pod gets its share",
        )
        visitors.are(1, rest_seconds=0.5)
        # Those that end answer what they have in hand first, and somebody goes on asking meanwhile.
        eventually(lambda: scaling.rests(scaled, SLOT), within_seconds=SHRUNK_SECONDS, what=f"{LEAST} pod is left")
    assert visitors.failed == []
    print(f"{SLOT.workload}: {LEAST} -> {SLOT.most} -> {LEAST} pods, {len(visitors.visits)} requests, none failed")


def _wait_for_rest(cluster: Cluster, part: Part) -> None:
    eventually(
        lambda: scaling.sees_all_measures(cluster, part),
        within_seconds=180,
        what=f"the autoscaler of {part.workload} sees CPU and requests",
    )
    # Pods that have just started have done much at once, which looks like load.
    eventually(lambda: scaling.rests(cluster, part), within_seconds=SHRUNK_SECONDS, what=f"{LEAST} pod is enough")


def _wait_for_growth(cluster: Cluster, part: Part) -> None:
    eventually(
        lambda: len(scaling.serving(cluster, part)) == part.most,
        within_seconds=_GROWN_SECONDS,
        what=f"{part.most} pods of {part.workload} answer",
    )
