"""Traffic, slots and ABTests against a real Kubernetes API, with the rights that the controller has in its pod."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from ml.contracts import GATEWAY_ADMIN_PORT, GATEWAY_NAMESPACE, SYNC_PORT
from ml.controller import ports
from ml.controller.gateways import ConfigDumps
from ml.controller.ports import Mirror, RouteState, SlotState, UnavailableError
from ml.controller.roots import parse_root
from ml.controller.slots import ClusterSlots
from ml.controller.splits import plan_split
from ml.controller.tests_api import AbTests
from ml.controller.traffic import Routes, SplitTraffic
from ml.controller.virtual_services import VirtualServices
from ml.kubernetes import PODS, JsonObject, Resources
from ml.serving.sync_status import SlotStatus
from tests.ml.controller.cluster import KIND, NAMESPACE, TEST_KIND, Cluster
from tests.ml.controller.conftest import account_client
from tests.ml.controller.shell.answers import serving
from tests.support.ports import own_address

MODEL, REGISTRY_MODEL = "content-quality-model", "content_quality_model"
GATEWAYS = own_address(1), own_address(2)
PODS_AT = own_address(3), own_address(4), own_address(5)
DUMP: JsonObject = json.loads((Path(__file__).parent / "reference" / "config_dump.json").read_text())
IN_DUMP = RouteState(
    weights={"stable": 900, "candidate-a": 100}, salt_index=7, mirror=Mirror(slot="candidate-a", percent=12.5)
)
T = TypeVar("T")
slow = pytest.mark.slow


def free() -> None:
    """Let every write pass."""


def fenced() -> None:
    """Let no write pass."""
    raise UnavailableError("not the leader")


@dataclasses.dataclass
class World:
    traffic: SplitTraffic
    slots: ClusterSlots
    tests: AbTests
    routes: Routes
    gateways: ConfigDumps


@pytest.fixture
def clean(cluster: Cluster) -> Iterator[Cluster]:
    yield cluster
    cluster.kubectl("delete", KIND, "--all", "--wait=true")
    cluster.kubectl("delete", TEST_KIND, "--all", "--wait=true")
    cluster.kubectl("delete", "pods", "--all", "--force")
    cluster.kubectl("delete", "pods", "--all", "--force", namespace=GATEWAY_NAMESPACE)


def act(cluster: Cluster, what: Callable[[World], Awaitable[T]], fence: Callable[[], None] = free) -> T:
    async def inside() -> T:
        async with account_client(cluster) as api, httpx.AsyncClient(timeout=3, trust_env=False) as http:
            virtual_services = VirtualServices(api, NAMESPACE)
            routes = Routes(virtual_services)
            gateways = ConfigDumps(http, Resources(api, PODS, GATEWAY_NAMESPACE), "istio=ingressgateway")
            return await what(
                World(
                    traffic=SplitTraffic(virtual_services, routes, gateways, timeout_seconds=30, fence=fence),
                    slots=ClusterSlots(http, routes, Resources(api, PODS, NAMESPACE)),
                    tests=AbTests(api, NAMESPACE, fence=fence),
                    routes=routes,
                    gateways=gateways,
                )
            )

    return asyncio.run(inside())


def put_split(cluster: Cluster, slots: str = "stable,candidate-a") -> None:
    cluster.put_root(MODEL, slots)
    body = cluster.find(f"{MODEL}-root")
    assert body is not None
    split = plan_split(parse_root(body), None, timeout_seconds=30).manifest
    apply = ("apply", "--server-side", "--field-manager=experiment-controller", "--filename=-")
    cluster.kubectl(*apply, stdin=json.dumps(split))


def put_gateway(cluster: Cluster, name: str, ip: str) -> None:
    cluster.put_pod(name, {"istio": "ingressgateway"}, ip, namespace=GATEWAY_NAMESPACE)


# Traffic --------------------------------------------------------------------------------------------------------------
@slow
def test_route_reads_back_as_written_when_set(clean: Cluster) -> None:
    put_split(clean)
    wanted = RouteState(
        weights={"stable": 988, "candidate-a": 12}, salt_index=3, mirror=Mirror(slot="stable", percent=1)
    )

    async def set_and_read(world: World) -> list[RouteState | None]:
        found = [await world.traffic.written(REGISTRY_MODEL)]
        await world.traffic.set_route(REGISTRY_MODEL, wanted)
        await world.traffic.set_route(REGISTRY_MODEL, wanted)
        return [*found, await world.traffic.written(REGISTRY_MODEL)]

    before, after = act(clean, set_and_read)
    assert before == RouteState(weights={"stable": 1000, "candidate-a": 0}, salt_index=0)
    assert after == wanted
    split = clean.find(f"{MODEL}-split")
    assert split is not None
    assert [route["name"] for route in split["spec"]["http"]] == ["split-03"]
    assert split["metadata"]["generation"] == 2, "the second call changed nothing"
    root = clean.find(f"{MODEL}-root")
    assert root is not None
    assert [entry["manager"] for entry in root["metadata"]["managedFields"]] == ["pulumi"]


@slow
def test_nothing_is_written_when_this_process_does_not_lead(clean: Cluster) -> None:
    put_split(clean)
    wanted = RouteState(weights={"stable": 0, "candidate-a": 1000}, salt_index=3)
    with pytest.raises(UnavailableError, match="not the leader"):
        act(clean, lambda world: world.traffic.set_route(REGISTRY_MODEL, wanted), fenced)
    assert clean.weights(MODEL) == {"stable": 1000, "candidate-a": 0}


@slow
def test_route_is_refused_when_model_or_slot_is_not_there(clean: Cluster) -> None:
    wanted = RouteState(weights={"stable": 900, "candidate-x": 100}, salt_index=3)
    with pytest.raises(UnavailableError, match="there is no VirtualService content-quality-model-root"):
        act(clean, lambda world: world.traffic.set_route(REGISTRY_MODEL, wanted))
    put_split(clean)
    with pytest.raises(UnavailableError, match="candidate-x"):
        act(clean, lambda world: world.traffic.set_route(REGISTRY_MODEL, wanted))


@slow
def test_route_is_in_force_when_every_gateway_has_it(clean: Cluster) -> None:
    put_split(clean)
    put_gateway(clean, "gateway-0", GATEWAYS[0])

    async def look(world: World) -> RouteState | None:
        return await world.traffic.in_force(REGISTRY_MODEL)

    with serving(GATEWAYS[0], GATEWAY_ADMIN_PORT) as first, serving(GATEWAYS[1], GATEWAY_ADMIN_PORT) as second:
        first.by_path["/config_dump"] = (200, json.dumps(DUMP))
        assert act(clean, look) == IN_DUMP
        assert first.asked == ["/config_dump?resource=dynamic_route_configs"]
        put_gateway(clean, "gateway-1", GATEWAYS[1])
        late = copy.deepcopy(DUMP)
        for route in late["configs"][0]["route_config"]["virtual_hosts"][0]["routes"]:
            route["route"]["weighted_clusters"]["clusters"][0]["weight"] = 999
        second.by_path["/config_dump"] = (200, json.dumps(late))
        assert act(clean, look) is None, "one gateway still has other weights"
        second.by_path["/config_dump"] = (200, json.dumps(DUMP))
        assert act(clean, look) == IN_DUMP
        second.by_path["/config_dump"] = (503, "")
        with pytest.raises(UnavailableError, match="gateway-1"):
            act(clean, look)
        clean.set_pod("gateway-1", GATEWAYS[1], ready=False, namespace=GATEWAY_NAMESPACE)
        assert act(clean, look) == IN_DUMP, "a gateway that is not ready gets no connections"


@slow
def test_nothing_is_in_force_when_there_is_no_gateway_or_no_split(clean: Cluster) -> None:
    async def look(world: World) -> RouteState | None:
        return await world.traffic.in_force(REGISTRY_MODEL)

    assert act(clean, look) is None
    put_split(clean)
    assert act(clean, look) is None


@slow
def test_own_write_is_seen_at_once_when_the_answer_before_was_kept(clean: Cluster) -> None:
    put_split(clean)

    async def look(world: World) -> list[dict[str, int]]:
        found: list[dict[str, int]] = []
        for share in (0, 10, 20):
            await world.traffic.set_route(
                REGISTRY_MODEL, RouteState(weights={"stable": 1000 - share, "candidate-a": share}, salt_index=0)
            )
            written = await world.traffic.written(REGISTRY_MODEL)
            assert written is not None
            found.append(dict(written.weights))
        return found

    assert [weights["candidate-a"] for weights in act(clean, look)] == [0, 10, 20]


# Slots ----------------------------------------------------------------------------------------------------------------
def status(version: int | None, alias: str = "candidate-a", error: str = "") -> tuple[int, str]:
    board = SlotStatus(model=REGISTRY_MODEL, alias=alias, phase="serving", serving_version=version, error=error)
    return 200, json.dumps(dataclasses.asdict(board))


@slow
def test_slots_are_known_by_the_registry_name_when_roots_declare_them(clean: Cluster) -> None:
    clean.put_root(MODEL, "stable,candidate-a")
    declared = act(clean, lambda world: world.slots.declared())
    assert declared == {REGISTRY_MODEL: ("stable", "candidate-a")}


@slow
def test_slot_is_as_its_pods_say_when_they_come_and_go(clean: Cluster) -> None:
    def look() -> SlotState:
        return act(clean, lambda world: world.slots.state(REGISTRY_MODEL, "candidate-a"))

    assert look().ready_pods == 0
    clean.put_slot_pod(MODEL, "candidate-a", PODS_AT[0], ready=False)
    clean.put_slot_pod(MODEL, "stable", PODS_AT[2])
    assert look() == SlotState(
        slot="candidate-a", ready_pods=0, serving_version=None, problem="none of 1 pods of candidate-a is ready"
    )
    with serving(PODS_AT[0], SYNC_PORT) as first, serving(PODS_AT[1], SYNC_PORT) as second:
        first.by_path["/status"] = status(7)
        clean.set_pod(f"{MODEL}-candidate-a-{PODS_AT[0].replace('.', '-')}", PODS_AT[0], ready=True)
        assert look() == SlotState(slot="candidate-a", ready_pods=1, serving_version=7)
        clean.put_slot_pod(MODEL, "candidate-a", PODS_AT[1])
        second.by_path["/status"] = status(8)
        assert look() == SlotState(
            slot="candidate-a",
            ready_pods=2,
            serving_version=None,
            problem="pods of candidate-a serve different versions",
        )
        second.by_path["/status"] = status(7)
        assert look() == SlotState(slot="candidate-a", ready_pods=2, serving_version=7)


@slow
@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (status(None), "serves no version"),
        (status(7, alias="champion"), "follows 'champion' instead of 'candidate-a'"),
        ((200, "nonsense"), "JSONDecodeError"),
        ((200, "[]"), "TypeError"),
        ((500, ""), "500"),
    ],
)
def test_version_is_unknown_when_a_pod_does_not_tell_a_sound_one(
    clean: Cluster, answer: tuple[int, str], problem: str
) -> None:
    clean.put_slot_pod(MODEL, "candidate-a", PODS_AT[0])
    with serving(PODS_AT[0], SYNC_PORT) as pod:
        pod.by_path["/status"] = answer
        found = act(clean, lambda world: world.slots.state(REGISTRY_MODEL, "candidate-a"))
    assert (found.ready_pods, found.serving_version) == (1, None)
    assert problem in found.problem


# ABTests --------------------------------------------------------------------------------------------------------------
def put_test(cluster: Cluster, name: str, annotations: dict[str, str] | None = None) -> None:
    body = {
        "apiVersion": "mlplatform.dev/v1alpha1",
        "kind": "ABTest",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {"model": REGISTRY_MODEL, "primary": {"name": "clicked", "minimumEffect": 0.05, "baseline": 0.2}},
    }
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(body))


def get_test(cluster: Cluster, name: str) -> JsonObject:
    return cluster.get_test(name)


@slow
def test_tests_are_listed_with_defaults_and_annotations_when_they_exist(clean: Cluster) -> None:
    put_test(clean, "first", {"mlplatform.dev/command": "{}"})
    put_test(clean, "second")
    found = {test.name: test for test in act(clean, lambda world: world.tests.list())}
    assert sorted(found) == ["first", "second"]
    first = found["first"]
    assert first.namespace == NAMESPACE
    assert first.spec["reconcileIntervalSeconds"] == 30
    assert first.annotations["mlplatform.dev/command"] == "{}"
    assert (first.generation, first.status, first.deleted) == (1, {}, False)
    assert abs(first.created_at - time.time()) < 300


@slow
def test_only_the_status_changes_and_old_parts_go_when_it_is_written_again(clean: Cluster) -> None:
    put_test(clean, "first")
    before = get_test(clean, "first")

    async def write(world: World) -> None:
        (test,) = await world.tests.list()
        await world.tests.write_status(test, {"phase": "Ramping", "message": "a", "weights": {"stable": 1, "b": 2}})
        (test,) = await world.tests.list()
        await world.tests.write_status(test, {"phase": "Running", "weights": {"stable": 3}})

    act(clean, write)
    after = get_test(clean, "first")
    assert after["status"] == {"phase": "Running", "weights": {"stable": 3}}
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == 1
    managers = [entry for entry in after["metadata"]["managedFields"] if entry["manager"] == "experiment-controller"]
    assert [entry["subresource"] for entry in managers] == ["status"]


@slow
def test_test_is_gone_when_it_or_its_namesake_is_another_by_now(clean: Cluster) -> None:
    put_test(clean, "first")

    async def write(world: World, change: Callable[[], Any]) -> None:
        (test,) = await world.tests.list()
        await asyncio.to_thread(change)
        await world.tests.write_status(test, {"phase": "Running"})

    with pytest.raises(ports.TestGoneError):
        act(clean, lambda world: write(world, lambda: clean.kubectl("delete", TEST_KIND, "first")))
    put_test(clean, "first")

    def replace() -> None:
        clean.kubectl("delete", TEST_KIND, "first")
        put_test(clean, "first")

    with pytest.raises(ports.TestGoneError):
        act(clean, lambda world: write(world, replace))
    assert "status" not in get_test(clean, "first")
