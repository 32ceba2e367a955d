"""When experiments are looked at; how they are reconciled is shown elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import pytest

from ml.controller import ports
from ml.controller.keeper import SplitKeeper
from ml.controller.loop import ControlLoop, Wakes
from ml.controller.metrics import ControllerMetrics
from ml.controller.operator import Watcher
from ml.controller.reconciler import Reconciled
from ml.kubernetes import JsonObject


class Recorder:
    """Reconciles by writing down who was to be looked at."""

    def __init__(self, interval_seconds: float = 3600.0) -> None:
        self.uids = ["a", "b"]
        self.ended: set[str] = set()
        self.interval_seconds = interval_seconds
        self.ticks: list[list[str] | None] = []
        self.failures: list[Exception] = []

    async def tick(self, now: float, only: Collection[str] | None = None) -> Sequence[Reconciled]:
        self.ticks.append(None if only is None else sorted(only))
        if self.failures:
            raise self.failures.pop(0)
        chosen = [uid for uid in self.uids if only is None or uid in only]
        return [
            Reconciled(
                uid=uid,
                name=uid,
                model="some_model" if uid == "a" else "other_model",
                phase="Cancelled" if uid in self.ended else "Running",
                due_at=None if uid in self.ended else now + self.interval_seconds,
            )
            for uid in chosen
        ]

    async def list(self) -> Sequence[ports.AbTest]:
        return [
            ports.AbTest(
                uid=uid, name=uid, namespace="n", generation=1, resource_version="1", spec={}, status={},
                annotations={}, created_at=0.0,
            )
            for uid in self.uids
        ]  # fmt: skip

    async def write_status(self, test: ports.AbTest, status: Any) -> None:
        raise AssertionError(f"the loop writes nothing: {test}, {status}")


def drive(
    recorder: Recorder,
    script: Callable[[Wakes], Awaitable[None]],
    *,
    clock: Callable[[], float] | None = None,
    metrics: ControllerMetrics | None = None,
) -> list[list[str] | None]:
    async def inside() -> None:
        wakes = Wakes()
        arguments: dict[str, Any] = {} if clock is None else {"clock": clock}
        loop = ControlLoop(recorder, recorder, wakes, metrics or ControllerMetrics(), **arguments)
        task = asyncio.create_task(loop.run())
        await ticked(recorder, 1)
        await script(wakes)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(inside())
    return recorder.ticks


async def ticked(recorder: Recorder, times: int) -> None:
    """Wait until there was a look so many times, however busy the machine is."""
    async with asyncio.timeout(30):
        while len(recorder.ticks) < times:
            await asyncio.sleep(0.02)


async def nothing(_: Wakes) -> None:
    await asyncio.sleep(0.6)


def test_everything_is_looked_at_once_when_nothing_is_due_afterwards() -> None:
    assert drive(Recorder(), nothing) == [None]


def test_experiment_is_looked_at_within_a_moment_when_it_or_its_model_changed() -> None:
    recorder = Recorder()

    async def script(wakes: Wakes) -> None:
        wakes.test("b")
        await ticked(recorder, 2)
        wakes.model("some-model")
        await ticked(recorder, 3)

    assert drive(recorder, script) == [None, ["b"], ["a"]]


def test_new_experiment_is_looked_at_when_the_watch_tells_of_it() -> None:
    recorder = Recorder()

    async def script(wakes: Wakes) -> None:
        recorder.uids.append("new")
        wakes.test("new")
        await ticked(recorder, 2)

    assert drive(recorder, script) == [None, ["new"]]


def test_each_is_looked_at_again_at_its_interval() -> None:
    recorder = Recorder(interval_seconds=1.0)

    async def script(_: Wakes) -> None:
        await ticked(recorder, 3)

    ticks = drive(recorder, script)
    assert ticks[:3] == [None, ["a", "b"], ["a", "b"]]


def test_loop_goes_on_when_a_tick_fails() -> None:
    recorder = Recorder()
    recorder.failures = [ports.UnavailableError("away"), ValueError("broken")]
    metrics = ControllerMetrics()

    async def script(_: Wakes) -> None:
        await ticked(recorder, 3)
        # What was looked at is counted a moment after the look.
        await asyncio.sleep(0.2)

    assert drive(recorder, script, metrics=metrics) == [None, None, None]
    assert metrics.registry.get_sample_value("mlplatform_controller_errors_total", {"port": "tick"}) == 2
    assert metrics.registry.get_sample_value("mlplatform_controller_experiments", {"phase": "Running"}) == 2


def test_ended_experiment_is_left_alone_when_others_go_on() -> None:
    recorder = Recorder(interval_seconds=1.0)
    recorder.ended = {"a"}

    async def script(_: Wakes) -> None:
        await ticked(recorder, 2)

    assert drive(recorder, script)[:2] == [None, ["b"]]


def test_what_the_watch_missed_is_found_when_the_objects_are_listed() -> None:
    recorder = Recorder()
    now = 1000.0

    async def script(_: Wakes) -> None:
        nonlocal now
        recorder.uids.remove("b")
        recorder.uids.append("missed")
        now += 31
        await ticked(recorder, 2)

    ticks = drive(recorder, script, clock=lambda: now)
    assert ticks == [None, ["b", "missed"]]


def test_data_of_the_leader_go_when_it_leads_no_more() -> None:
    metrics = ControllerMetrics()
    metrics.leads(True)
    metrics.ticked(["Running", "Running", "Promoted"], 5.0)
    assert metrics.registry.get_sample_value("mlplatform_controller_experiments", {"phase": "Running"}) == 2
    metrics.leads(False)
    assert metrics.registry.get_sample_value("mlplatform_controller_leader") == 0
    assert metrics.registry.get_sample_value("mlplatform_controller_experiments", {"phase": "Running"}) is None


class NoStore:
    async def get(self, name: str) -> JsonObject | None:
        raise AssertionError(f"nothing to read: {name}")

    async def apply(self, manifest: JsonObject) -> None:
        raise AssertionError(f"nothing to write: {manifest}")


def test_own_status_wakes_nobody_when_spec_and_annotations_stay() -> None:
    wakes = Wakes()
    watcher = Watcher(SplitKeeper(NoStore(), timeout_seconds=30), wakes, is_leader=lambda: False)

    def heed(kind: str, **metadata: Any) -> set[str]:
        body = {"metadata": {"uid": "a", **metadata}}
        asyncio.run(watcher.heed_test({"type": kind}, body))
        return wakes.take({})

    assert heed("ADDED", generation=1) == {"a"}
    assert heed("MODIFIED", generation=1, resourceVersion="2") == set()
    assert heed("MODIFIED", generation=2) == {"a"}
    assert heed("MODIFIED", generation=2, annotations={"mlplatform.dev/command": "{}"}) == {"a"}
    assert heed("MODIFIED", generation=2, annotations={"mlplatform.dev/command": "{}"}) == set()
    assert heed("DELETED", generation=2) == {"a"}
