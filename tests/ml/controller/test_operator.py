"""The controller against a real Kubernetes API, its database out of reach: splits are kept all the same.

That the mesh follows the splits is shown end to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from ml.controller.roots import parse_root
from ml.controller.splits import plan_split
from ml.controller.virtual_services import VirtualServices
from ml.kubernetes import ConflictError
from tests.ml.controller.cluster import KIND, NAMESPACE, Cluster, eventually
from tests.ml.controller.conftest import Controller, account_client

pytestmark = pytest.mark.slow

MODEL = "content-quality-model"


@pytest.fixture(autouse=True)
def clean(cluster: Cluster) -> Iterator[None]:
    yield
    cluster.kubectl("delete", KIND, "--all", "--wait=true")


@pytest.mark.usefixtures("controller")
def test_split_appears_when_a_root_does(cluster: Cluster) -> None:
    cluster.put_root(MODEL, "stable,candidate-a")
    eventually(lambda: cluster.weights(MODEL) == {"stable": 1000, "candidate-a": 0}, "the split")


def test_split_appears_when_the_root_was_there_before_the_controller(
    cluster: Cluster, request: pytest.FixtureRequest
) -> None:
    cluster.put_root(MODEL, "stable,candidate-a")
    request.getfixturevalue("controller")
    eventually(lambda: cluster.weights(MODEL) == {"stable": 1000, "candidate-a": 0}, "the split")


@pytest.mark.usefixtures("controller")
def test_root_carries_no_trace_of_the_controller_when_its_split_was_made(cluster: Cluster) -> None:
    cluster.put_root(MODEL, "stable,candidate-a")
    eventually(lambda: bool(cluster.weights(MODEL)), "the split")
    root = cluster.find(f"{MODEL}-root")
    assert root is not None
    assert [entry["manager"] for entry in root["metadata"]["managedFields"]] == ["pulumi"]
    assert "finalizers" not in root["metadata"]


@pytest.mark.usefixtures("controller")
def test_split_comes_back_when_somebody_deletes_it(cluster: Cluster) -> None:
    cluster.put_root(MODEL, "stable,candidate-a")
    eventually(lambda: bool(cluster.weights(MODEL)), "the split")
    first = cluster.find(f"{MODEL}-split")
    assert first is not None
    cluster.kubectl("delete", KIND, f"{MODEL}-split")

    def is_new() -> bool:
        second = cluster.find(f"{MODEL}-split")
        return second is not None and second["metadata"]["uid"] != first["metadata"]["uid"]

    eventually(is_new, "another split")


@pytest.mark.usefixtures("controller")
def test_weights_stay_when_a_slot_is_added_and_removed(cluster: Cluster) -> None:
    cluster.put_root(MODEL, "stable,candidate-a")
    eventually(lambda: bool(cluster.weights(MODEL)), "the split")
    cluster.set_weights(MODEL, 70, 30)
    cluster.put_root(MODEL, "stable,candidate-a,candidate-b")
    wanted = {"stable": 70, "candidate-a": 30, "candidate-b": 0}
    eventually(lambda: cluster.weights(MODEL) == wanted, "the added slot")
    cluster.put_root(MODEL, "stable,candidate-b")
    cluster.put_root(MODEL, "stable,candidate-a")
    eventually(lambda: cluster.weights(MODEL) == {"stable": 70, "candidate-a": 30}, "the slot without traffic goes")


@pytest.mark.usefixtures("controller")
def test_split_goes_and_stays_away_when_its_root_is_deleted(cluster: Cluster) -> None:
    cluster.put_root(MODEL, "stable,candidate-a")
    eventually(lambda: bool(cluster.weights(MODEL)), "the split")
    cluster.kubectl("delete", KIND, f"{MODEL}-root")
    eventually(lambda: cluster.find(f"{MODEL}-split") is None, "the split goes with its owner")
    cluster.put_root("other-model", "stable,candidate-a")
    eventually(lambda: bool(cluster.weights("other-model")), "the controller goes on")
    assert cluster.find(f"{MODEL}-split") is None


def test_controller_goes_on_when_the_api_server_was_away(cluster: Cluster, controller: Controller) -> None:
    cluster.put_root(MODEL, "stable,candidate-a")
    eventually(lambda: bool(cluster.weights(MODEL)), "the split")
    controller.relay.cut()
    cluster.put_root("other-model", "stable,candidate-a")
    cluster.kubectl("delete", KIND, f"{MODEL}-split")
    assert httpx.get(controller.health_url, trust_env=False).is_success
    controller.relay.start()
    eventually(lambda: bool(cluster.weights("other-model")), "a root made meanwhile", 60)
    eventually(lambda: bool(cluster.weights(MODEL)), "a split deleted meanwhile", 60)


def test_write_is_refused_when_somebody_else_wrote_in_between(cluster: Cluster) -> None:
    cluster.put_root(MODEL, "stable,candidate-a")

    async def act() -> None:
        async with account_client(cluster) as client:
            api = VirtualServices(client, NAMESPACE)
            body = await api.get(f"{MODEL}-root")
            assert body is not None
            root = parse_root(body)
            created = plan_split(root, None, timeout_seconds=30).manifest
            assert created is not None
            await api.apply(created)
            stale = plan_split(root, await api.get(f"{MODEL}-split"), timeout_seconds=5).manifest
            assert stale is not None
            cluster.set_weights(MODEL, 60, 40)
            with pytest.raises(ConflictError):
                await api.apply(stale)
            with pytest.raises(ConflictError):  # it looked as if there were none
                await api.apply(created)

    asyncio.run(act())
    assert cluster.weights(MODEL) == {"stable": 60, "candidate-a": 40}
