"""A world for the controller's core: gateway, slots, registry, metrics and users, on a virtual clock.

Everything but the event store (the real one, in memory or on PostgreSQL) is simulated, with true effects that the tests
choose. Every call of a port passes a gate before and after its effect, where a test may lose the call or its answer, or
kill the controller. The world also keeps watch: it writes down whatever the controller must never do.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Protocol, TypeVar

import numpy as np

from ml.contracts import CHAMPION_ALIAS, slot_alias
from ml.controller.commands import COMMAND_ANNOTATION
from ml.controller.fold import fold
from ml.controller.ports import AbTest, RequestCounts, RouteState, UnavailableError
from ml.controller.reconciler import Reconciled, Reconciler
from ml.controller.state import ExperimentState
from ml.events.memory import MemoryEventStore
from ml.events.ports import EventStore, StoreUnavailableError, UnitsSeen
from ml.events.types import AnyEvent, ModelPromoted, experiment_stream, model_stream
from tests.ml.controller.core.simulated_model import MODEL, START, Arm, default_spec
from tests.ml.controller.core.simulated_ports import (
    Gate,
    Killed,
    Port,
    SimulatedOutcomes,
    SimulatedRegistry,
    SimulatedRequests,
    SimulatedSlots,
    SimulatedTests,
    SimulatedTraffic,
    open_gate,
)

SCRAPE_SECONDS = 5.0
GATEWAY_DELAY_SECONDS = 1.0
LOAD_SECONDS = 3.0


@dataclass
class Sums:
    """Running sums of one epoch and arm."""

    units: int = 0
    answered: int = 0
    hits: Counter[str] = field(default_factory=Counter[str])


_T = TypeVar("_T")


class Store(EventStore, Protocol):
    """An event store that also knows which experiments have not ended."""

    async def unfinished(self) -> Sequence[str]:
        """Return their ids."""
        ...


class Wait(Protocol):
    """Runs a coroutine to its end; a store with connections needs the same event loop each time."""

    def __call__(self, work: Coroutine[Any, Any, _T], /) -> _T:
        """Return what the coroutine returns."""
        ...


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def at_once(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine in the one loop of all worlds: a loop of its own for each would take longer than the work.

    What it leaves behind ends with it, as when a process is killed.
    """
    loop = _loop()
    try:
        return loop.run_until_complete(work)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


class World:
    """One model with its slots, and what the controller may touch."""

    def __init__(
        self,
        *arms: tuple[str, Arm],
        users_per_second: int = 400,
        seed: int = 1,
        other_slots: Sequence[str] = (),
        store: Store | None = None,
        wait: Wait = at_once,
    ) -> None:
        self.now = START
        self.arms = dict(arms)
        self.slots = (*self.arms, *other_slots)
        self.random = np.random.default_rng(seed)
        self.users_per_second = users_per_second
        self.store: Store = store or MemoryEventStore()
        self._wait = wait
        self.tests: dict[str, AbTest] = {}
        self.written = RouteState(weights={slot: 1000 if slot == "stable" else 0 for slot in self.slots}, salt_index=3)
        self.in_force = self.written
        self.gateways_agree = True
        """While they differ, nobody can say what is in force."""
        self._coming: list[tuple[float, RouteState]] = []
        self.aliases: dict[str, int] = {slot_alias(s): a.version for s, a in arms if a.version is not None}
        self._loading: dict[str, tuple[float, int | None]] = {}
        self.request_log: list[RequestCounts] = []
        self.scraping = True
        self.skew_seconds = 0.0
        """By how much the metrics store's clock is ahead."""
        self.reporting = True
        self.newest_outcome: float | None = None
        self.seen = UnitsSeen(units=0, first_at=None)
        """What was reported outside of experiments."""
        self.opened: dict[str, float] = {}
        self.epochs: dict[str, dict[int, float]] = {}
        self.closed: dict[str, float] = {}
        self.sums: dict[tuple[str, int, str], Sums] = {}
        self.violations: list[str] = []
        self.champion_moves: list[int] = []
        self.weight_history: list[tuple[float, Mapping[str, int]]] = []
        self.gate: Gate = open_gate
        self.calls = 0
        self._folded: dict[str, tuple[int, ExperimentState]] = {}
        self.controller = self.start_controller()

    # The controller --------------------------------------------------------------------------------------------------
    def start_controller(self) -> Reconciler:
        """Return a controller that knows nothing but the stores."""
        self.controller = Reconciler(
            tests=Port(self, "tests", SimulatedTests(self)),  # pyright: ignore[reportArgumentType] stands in for any port
            traffic=Port(self, "traffic", SimulatedTraffic(self)),  # pyright: ignore[reportArgumentType] likewise
            slots=Port(self, "slots", SimulatedSlots(self)),  # pyright: ignore[reportArgumentType] likewise
            registry=Port(self, "registry", SimulatedRegistry(self)),  # pyright: ignore[reportArgumentType] likewise
            requests=Port(self, "requests", SimulatedRequests(self)),  # pyright: ignore[reportArgumentType] likewise
            events=Port(self, "events", self.store),  # pyright: ignore[reportArgumentType] likewise
            outcomes=Port(self, "outcomes", SimulatedOutcomes(self)),  # pyright: ignore[reportArgumentType] likewise
            index=self.store,
        )
        return self.controller

    def tick(self, only: Sequence[str] | None = None) -> Sequence[Reconciled]:
        """Let the controller reconcile once."""
        return self._wait(self.controller.tick(self.now, only))

    def run(self, seconds: float, *, until: Callable[[], bool] | None = None) -> None:
        """Let time pass; the controller looks when it wants to, at the latest after 30 s."""
        end = self.now + seconds
        due = self.now
        while self.now < end and not (until is not None and until()):
            if self.now >= due:
                due = self._reconcile()
            self.pass_second()

    def _reconcile(self) -> float:
        try:
            done = self.tick()
        except UnavailableError:
            return self.now + 1
        except Killed:
            self.start_controller()
            return self.now + 1
        self._check_dead_slots([item.error for item in done])
        return min((item.due_at for item in done if item.due_at is not None), default=self.now + 30)

    def run_to_end(self, name: str = "test", seconds: float = 2000) -> ExperimentState:
        """Let time pass until an experiment has ended, and a little longer."""
        self.run(seconds, until=lambda: self.state(name).is_final)
        assert self.state(name).is_final, (self.state(name).phase, self.state(name).reason, self.state(name).message)
        self.run(10)
        return self.state(name)

    # Time ------------------------------------------------------------------------------------------------------------
    def pass_second(self) -> None:
        """One second of users, requests and slow machinery."""
        self.now += 1
        for at, route in [item for item in self._coming if item[0] <= self.now]:
            self._coming.remove((at, route))
            if route != self.in_force:
                self.weight_history.append((self.now, dict(route.weights)))
            self.in_force = route
        for slot, (at, version) in list(self._loading.items()):
            if at <= self.now:
                del self._loading[slot]
                self.arms[slot].version = version
        self._users()
        if self.scraping and int(self.now - START) % int(SCRAPE_SECONDS) == 0:
            self._scrape()

    def _users(self) -> None:
        total = sum(self.in_force.weights.values())
        shares = [self.in_force.weights.get(slot, 0) / total for slot in self.arms]
        drawn = self.random.multinomial(self.users_per_second, np.array(shares) / sum(shares))
        counts = [int(count) for count in drawn]
        for (slot, arm), count in zip(self.arms.items(), counts, strict=True):
            for uid in self.opened if self.reporting else ():
                if not count or uid in self.closed or slot not in self._arms_of(uid):
                    continue  # stores have no row of an arm that nobody was in
                index = max(self.epochs.get(uid, {}), default=None)
                if index is None:
                    continue
                entry = self.sums.setdefault((uid, index, slot), Sums())
                entry.units += count
                if not arm.ready:
                    continue  # the application knows whom it sent, but there was no answer to report on
                entry.answered += count
                entry.hits["converted"] += int(self.random.binomial(count, arm.converts))
                entry.hits["correct"] += int(self.random.binomial(count, arm.correct))
                self.newest_outcome = self.now

    def _arms_of(self, uid: str) -> set[str]:
        test = self.tests.get(uid)
        return set(self.arms) if test is None else {arm["slot"] for arm in test.spec.get("arms", [])} or set(self.arms)

    def _scrape(self) -> None:
        total = sum(self.in_force.weights.values())
        for slot, arm in self.arms.items():
            share = self.in_force.weights.get(slot, 0) / total
            requests = round(self.users_per_second * SCRAPE_SECONDS * share)
            if not requests:
                continue  # a gateway has no series of a slot that got none
            failed = requests if not arm.ready else int(self.random.binomial(requests, arm.fails))
            slow = int(self.random.binomial(requests, arm.slow))
            self.request_log.append(
                RequestCounts(
                    slot=slot,
                    started_at=self.now - SCRAPE_SECONDS,
                    ended_at=self.now,
                    requests=float(requests),
                    failed=float(failed),
                    above={100: float(slow)},
                )
            )

    # What people and machines do -------------------------------------------------------------------------------------
    def create(self, name: str = "test", **spec: Any) -> str:
        """Create an `ABTest`."""
        uid = f"uid-{name}"
        self.tests[uid] = AbTest(
            uid=uid,
            name=name,
            namespace="research",
            generation=1,
            resource_version="1",
            spec={**default_spec(tuple(self.arms)), **spec},
            status={},
            annotations={},
            created_at=self.now,
        )
        return uid

    def delete(self, name: str = "test") -> None:
        """Delete an `ABTest`."""
        del self.tests[f"uid-{name}"]

    def set_spec(self, name: str = "test", **spec: Any) -> None:
        """Change the spec of an `ABTest`."""
        test = self.tests[f"uid-{name}"]
        self.tests[test.uid] = replace(test, spec={**test.spec, **spec}, generation=test.generation + 1)

    def command(self, action: str, *, name: str = "test", arm: str | None = None, number: int = 1) -> None:
        """Write the annotation of a command."""
        body = {"id": f"{action}-{number}", "action": action, "by": "ada", "why": "a test", "arm": arm}
        test = self.tests[f"uid-{name}"]
        self.tests[test.uid] = replace(test, annotations={COMMAND_ANNOTATION: json.dumps(body)})

    def remove_slot(self, slot: str) -> None:
        """Declare a slot no longer, as a deployment does; its pods stay until a test takes them away."""
        self.slots = tuple(name for name in self.slots if name != slot)

    # What one can see ------------------------------------------------------------------------------------------------
    def events(self, name: str = "test") -> Sequence[AnyEvent]:
        """Return the stream of an experiment."""
        return [item.event for item in self._wait(self.store.read(experiment_stream(f"uid-{name}")))]

    def state(self, name: str = "test") -> ExperimentState:
        """Return the fold of an experiment's stream; while the store is away, as it was seen last."""
        position, state = self._folded.get(name, (0, ExperimentState()))
        try:
            stored = self._wait(self.store.read(experiment_stream(f"uid-{name}"), position))
        except StoreUnavailableError:
            return state
        if stored:
            position, state = stored[-1].position, fold([item.event for item in stored], state)
            self._folded[name] = position, state
        return state

    def promotions(self) -> Sequence[ModelPromoted]:
        """Return the promotions in the model's stream."""
        stored = self._wait(self.store.read(model_stream(MODEL)))
        return [item.event for item in stored if isinstance(item.event, ModelPromoted)]

    def phases(self, name: str = "test") -> Sequence[str]:
        """Return the phases that were entered, in order."""
        return [event.phase for event in self.events(name) if event.type == "PhaseEntered"]

    # Watching --------------------------------------------------------------------------------------------------------
    def route_was_set(self, model: str, route: RouteState) -> None:
        """Check a write of the controller against the truth."""
        if model != MODEL:
            self.violations.append(f"route of {model}")
        if sum(route.weights.values()) != 1000 or tuple(route.weights) != self.slots:
            self.violations.append(f"weights {dict(route.weights)}")
        gained = [s for s in self.arms if route.weights.get(s, 0) > self.written.weights.get(s, 0)]
        self.violations += [
            f"weight on dead {slot} at {self.now - START}" for slot in gained if not self.arms[slot].ready
        ]

    def _check_dead_slots(self, errors: Sequence[str]) -> None:
        """After a tick in which everything answered no dead slot has weight, as long as another one lives."""
        running = [uid for uid in self.tests if self.state(self.tests[uid].name).is_running]
        if any(errors) or not running or not any(arm.ready for arm in self.arms.values()):
            return
        for slot, arm in self.arms.items():
            if not arm.ready and self.written.weights.get(slot, 0) > 0 and self.arms["stable"].ready:
                self.violations.append(f"weight left on dead {slot} at {self.now - START}")

    def load(self, alias: str) -> None:
        """A slot notices that its alias has changed."""
        slot = "stable" if alias == CHAMPION_ALIAS else alias
        if slot in self.arms:
            self._loading[slot] = (self.now + LOAD_SECONDS, self.aliases.get(alias))

    def come_into_force(self, route: RouteState) -> None:
        """The gateway takes a route a little later."""
        self._coming.append((self.now + GATEWAY_DELAY_SECONDS, route))


def two_arms(
    *, users_per_second: int = 400, store: Store | None = None, wait: Wait = at_once, **candidate: Any
) -> World:
    """Return a world with a stable slot and one candidate."""
    arms = (("stable", Arm(version=4)), ("candidate-a", Arm(version=5, **candidate)))
    return World(*arms, users_per_second=users_per_second, store=store, wait=wait)
