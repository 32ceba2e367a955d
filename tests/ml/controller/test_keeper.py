"""What the keeper does when the API server refuses, is away, or somebody else writes at the same moment."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from itertools import islice

from ml.contracts import MODEL_LABEL, SLOTS_ANNOTATION, TRAFFIC_ROLE_LABEL
from ml.controller.keeper import Backoffs, SplitKeeper
from ml.controller.ports import UnavailableError
from ml.kubernetes import ApiError, ConflictError, JsonObject

MODEL = "content-quality-model"
ROOT, SPLIT = f"{MODEL}-root", f"{MODEL}-split"


class MemoryStore:
    """VirtualServices in memory; `before_apply` may fail or change something, once per entry."""

    def __init__(self, *objects: JsonObject) -> None:
        self.objects = {body["metadata"]["name"]: body for body in objects}
        self.before_apply: list[Callable[[], None]] = []
        self.before_get: list[Callable[[], None]] = []
        self.applied: list[JsonObject] = []

    async def get(self, name: str) -> JsonObject | None:
        if self.before_get:
            self.before_get.pop(0)()
        return copy.deepcopy(self.objects.get(name))

    async def apply(self, manifest: JsonObject) -> None:
        if self.before_apply:
            self.before_apply.pop(0)()
        self.applied.append(manifest)
        stored = copy.deepcopy(manifest)
        stored["metadata"]["resourceVersion"] = str(len(self.applied))
        self.objects[manifest["metadata"]["name"]] = stored


def root(slots: str = "stable,candidate-a", **metadata: str) -> JsonObject:
    return {
        "metadata": {
            "name": ROOT,
            "namespace": "research",
            "uid": "uid-1",
            "labels": {TRAFFIC_ROLE_LABEL: "root", MODEL_LABEL: MODEL},
            "annotations": {SLOTS_ANNOTATION: slots},
            **metadata,
        }
    }


def keep(store: MemoryStore) -> list[float]:
    """Run the keeper to its end; return how long it would have waited between attempts."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    asyncio.run(SplitKeeper(store, timeout_seconds=30, sleep=sleep).keep(MODEL))
    return waits


def test_nothing_is_written_when_another_controller_leads_by_now() -> None:
    store = MemoryStore(root())

    def fence() -> None:
        raise UnavailableError("not the leader")

    asyncio.run(SplitKeeper(store, timeout_seconds=30, fence=fence).keep(MODEL))
    assert store.applied == []


def fail(error: Exception) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it


def test_split_is_created_when_a_root_has_none() -> None:
    store = MemoryStore(root())
    assert keep(store) == []
    assert [body["metadata"]["name"] for body in store.applied] == [SPLIT]


def test_nothing_is_written_when_there_is_no_root() -> None:
    store = MemoryStore()
    assert keep(store) == []
    assert store.applied == []


def test_nothing_is_written_when_the_root_is_being_deleted() -> None:
    store = MemoryStore(root(deletionTimestamp="2026-01-01T00:00:00Z"))
    assert keep(store) == []
    assert store.applied == []


def test_split_is_created_in_the_end_when_the_api_server_was_away() -> None:
    store = MemoryStore(root())
    store.before_get = [fail(ApiError("connection refused"))] * 3
    assert keep(store) == [1.0, 2.0, 4.0]
    assert len(store.applied) == 1


def test_weights_of_another_writer_stay_when_both_write_at_the_same_moment() -> None:
    store = MemoryStore(root())
    keep(store)
    store.objects[ROOT] = root("stable,candidate-a,candidate-b")

    def other_writer() -> None:
        route = store.objects[SPLIT]["spec"]["http"][0]["route"]
        route[0]["weight"], route[1]["weight"] = 70, 30
        raise ConflictError("the object has been modified")

    store.before_apply = [other_writer]
    assert keep(store) == [1.0]
    route = store.objects[SPLIT]["spec"]["http"][0]["route"]
    assert [entry["weight"] for entry in route] == [70, 30, 0]


def test_keeper_gives_up_until_the_next_event_when_the_root_is_wrong() -> None:
    store = MemoryStore(root("candidate-a"))
    assert keep(store) == []
    assert store.applied == []


def test_waiting_times_double_and_then_stay_when_attempts_go_on() -> None:
    assert list(islice(Backoffs(), 7)) == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
