"""What cannot be read of one experiment concerns that one alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from ml.controller.measuring import measure
from ml.controller.observer import Failure, Ports
from ml.controller.ports import RequestWindow
from ml.controller.queue import Known, Tick, earlier_experiments
from ml.controller.state import ExperimentState
from ml.events.memory import MemoryEventStore
from ml.events.ports import OutcomeSums, Stored, StoreUnavailableError
from ml.events.types import experiment_stream
from ml.experiments.ratio import RatioSums
from tests.ml.controller.core.simulated_model import LONG, MODEL
from tests.ml.controller.core.simulated_ports import Gate, open_gate
from tests.ml.controller.core.world import World, two_arms


def condition(world: World, name: str = "test") -> Mapping[str, Any]:
    """The word of a test's status on whether it was reconciled."""
    conditions = world.tests[f"uid-{name}"].status["conditions"]
    (found,) = [item for item in conditions if item["type"] == "Reconciled"]
    return found


def broken(port: str, method: str) -> Gate:
    """A gate at which a source answers with sums that cannot be."""

    def gate(name: str, called: str, when: str) -> None:
        if (name, called, when) == (port, method, "after"):
            RatioSums(2, 5.0, 2.0, 0.0, 2.0, 50.0)

    return gate


@pytest.mark.parametrize(("port", "method"), [("outcomes", "sums"), ("requests", "since")])
def test_experiment_holds_and_says_why_when_what_is_known_of_it_makes_no_sense(port: str, method: str) -> None:
    world = two_arms()
    world.create(primary=LONG)
    world.run(20)
    world.gate = broken(port, method)
    world.run(50)
    (done,) = world.tick()
    assert done.error_port == port
    assert "allowed is" in condition(world)["message"]
    assert world.state().phase == "HoldNoData"
    world.gate = open_gate
    world.run(15)
    assert (world.state().phase, condition(world)["status"]) == ("Running", "True")


class Sources:
    """Metric sources that cannot read some of what they have."""

    def __init__(self, *unreadable: str, away_for: str = "") -> None:
        self.unreadable, self.away_for = set(unreadable), away_for
        self.asked: list[Sequence[str]] = []
        self.outcomes = self.requests = self

    async def sums(self, experiments: Sequence[str]) -> Mapping[str, OutcomeSums]:
        self.asked.append(experiments)
        if self.away_for in experiments:
            raise StoreUnavailableError("away")
        if self.unreadable & set(experiments):
            raise ValueError("no sums")
        return {name: OutcomeSums(epochs={}, newest_at=float(index)) for index, name in enumerate(experiments)}

    async def since(self, moments: Mapping[str, float]) -> Mapping[str, RequestWindow]:
        return {model: RequestWindow(counts=[], newest_at=None) for model in moments}


@pytest.fixture(scope="module")
def due() -> ExperimentState:
    """An experiment whose decision is due."""
    world = two_arms()
    world.create(primary=LONG)
    world.run(30, until=lambda: world.state().phase == "Running")
    return world.state()


@pytest.mark.parametrize("bad", [(), ("e3",), ("e0", "e6"), tuple(f"e{n}" for n in range(7))])
def test_others_are_measured_when_the_sums_of_some_cannot_be_read(due: ExperimentState, bad: tuple[str, ...]) -> None:
    sources = Sources(*bad)
    states = {f"e{n}": due for n in range(7)}
    found = asyncio.run(measure(cast("Ports", sources), states, due.last_at + 60))
    assert set(found.outcomes) == set(states) - set(bad)
    assert {name: failure.port for name, failure in found.failures.items()} == dict.fromkeys(bad, "outcomes")
    assert all(isinstance(failure, Failure) for failure in found.failures.values())
    if not bad:
        assert sources.asked == [list(states)], "all in one question"


def test_nothing_is_known_of_anybody_when_the_store_goes_away_between_questions(due: ExperimentState) -> None:
    sources = Sources("e0", away_for="e2")
    found = asyncio.run(measure(cast("Ports", sources), {f"e{n}": due for n in range(3)}, due.last_at + 60))
    assert (found.outcomes, found.failures) == ({}, {})


class PartlyUnreadable(MemoryEventStore):
    """A store that has a stream of another time, whose events nobody understands any more."""

    unreadable = ""

    async def read(self, stream: str, after: int = 0) -> Sequence[Stored]:
        if stream == self.unreadable:
            raise ValueError("type 'ForgottenEvent': allowed is one of those that are known")
        return await super().read(stream, after)


def test_others_are_decided_when_the_stream_of_one_cannot_be_read() -> None:
    store = PartlyUnreadable()
    world = two_arms(store=store)
    world.create(primary=LONG)
    world.run(20)
    world.now += 1
    store.unreadable = experiment_stream(world.create("bad"))
    for _ in range(20):
        world.tick()
        world.pass_second()
    good, bad = sorted(world.tick(), key=lambda done: done.name, reverse=True)
    assert (good.error, bad.error_port) == ("", "events")
    assert condition(world)["status"] == "True"
    assert condition(world, "bad")["reason"] == "Unreadable"
    assert "ForgottenEvent" in condition(world, "bad")["message"]
    decided_at = world.state().decision_at
    assert decided_at is not None
    assert world.now - decided_at <= 6
    store.unreadable = ""
    world.run(10)
    assert condition(world, "bad")["status"] == "True"


@pytest.mark.parametrize(("model", "waits"), [(MODEL, True), ("another_model", False)])
def test_only_experiments_of_the_model_wait_when_a_stream_is_not_read(model: str, waits: bool) -> None:
    world = two_arms()
    uid, unread = world.create("new"), world.create("unread", model=model)
    tick = Tick(now=world.now, tests=world.tests, declared={})
    known = Known(uid, is_read=True)
    found = earlier_experiments([known, Known(unread)], known, MODEL, tick)
    assert (found is None) == waits


def test_experiment_goes_on_as_it_was_known_when_what_is_new_in_its_stream_cannot_be_read() -> None:
    store = PartlyUnreadable()
    world = two_arms(store=store)
    uid = world.create(primary=LONG)
    world.run(20)
    store.unreadable = experiment_stream(uid)
    world.arms["candidate-a"].ready = False
    (done,) = world.tick()
    assert done.error_port == "events"
    assert condition(world)["status"] == "False"
    assert world.written.weights["candidate-a"] == 0, "a dead slot loses its weight all the same"
