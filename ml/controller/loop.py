"""When which experiment is looked at: each at its own interval, at once when something about it changed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

from ml.contracts import kube_name
from ml.controller.metrics import ControllerMetrics
from ml.controller.ports import Tests, UnavailableError
from ml.events.ports import StoreUnavailableError

LOG: Final = logging.getLogger(__name__)
TICK_SECONDS: Final = 1.0
SHORTEST_PAUSE_SECONDS: Final = 0.1
"""Between two ticks, so that many changes at once make one tick."""
DISCOVERY_SECONDS: Final = 30.0
"""How often all `ABTest` objects are listed, for what a broken watch did not tell."""
LARGEST_BATCH: Final = 100
"""Experiments per tick, so that what changed just now does not wait for hundreds that are merely due."""


class Outcome(Protocol):
    """What a reconcile tells about one experiment; see `ml.controller.reconciler.Reconciled`."""

    @property
    def uid(self) -> str:
        """Of the `ABTest`."""
        ...

    @property
    def model(self) -> str:
        """The model's name in the registry."""
        ...

    @property
    def phase(self) -> str:
        """After this reconcile."""
        ...

    @property
    def due_at(self) -> float | None:
        """When to look again; None: never, it has ended."""
        ...

    @property
    def decision(self) -> str | None:
        """Action of the decision that was made, if one was."""
        ...

    @property
    def error(self) -> str:
        """What failed, else empty."""
        ...

    @property
    def error_port(self) -> str:
        """Who failed."""
        ...

    @property
    def seconds(self) -> float:
        """How long it took."""
        ...


class Ticks(Protocol):
    """Reconciles experiments; see `ml.controller.reconciler.Reconciler`."""

    async def tick(self, now: float, only: Collection[str] | None = None) -> Sequence[Outcome]:
        """Reconcile all experiments, or some of them by uid."""
        ...


class Wakes:
    """Collects what changed until the loop gets to it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._tests: set[str] = set()
        self._models: set[str] = set()

    def test(self, uid: str) -> None:
        """An experiment was made, changed or deleted, or got a command."""
        self._tests.add(uid)
        self._event.set()

    def model(self, kube_model: str) -> None:
        """A model's routes changed; the name is as Kubernetes writes it."""
        self._models.add(kube_model)
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Return at the next change, at the latest after some seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass

    def take(self, models: Mapping[str, str]) -> set[str]:
        """Return the experiments that changes concern, given the model of each, and forget the changes."""
        found = self._tests | {uid for uid, model in models.items() if kube_name(model) in self._models}
        self._tests, self._models = set(), set()
        self._event.clear()
        return found


class ControlLoop:
    """Runs in the leader only."""

    def __init__(
        self,
        reconciler: Ticks,
        tests: Tests,
        wakes: Wakes,
        metrics: ControllerMetrics,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reconciler = reconciler
        self._tests = tests
        self._wakes = wakes
        self._metrics = metrics
        self._clock = clock
        self._due: dict[str, float] = {}
        self._woken: dict[str, float] = {}
        self._models: dict[str, str] = {}
        self._phases: dict[str, str] = {}

    async def run(self) -> None:
        """Reconcile until cancelled. Nothing that a reconcile raises ends the loop."""
        while not await self._attempt(None):
            await asyncio.sleep(TICK_SECONDS)
        discovered_at = self._clock()
        while True:
            started = time.monotonic()
            now = self._clock()
            if not 0 <= now - discovered_at < DISCOVERY_SECONDS:
                await self._discover(now)
                discovered_at = now
            for uid in self._wakes.take(self._models):
                self._woken.setdefault(uid, now)
            batch = self._batch(now)
            left = 0.0 if await self._attempt(batch) and self._batch(self._clock()) else TICK_SECONDS
            await asyncio.sleep(SHORTEST_PAUSE_SECONDS)
            await self._wakes.wait(max(0.0, left - (time.monotonic() - started)))

    def _batch(self, now: float) -> list[str]:
        """Return whom to look at: first those that something happened to, then those that have waited longest."""
        due = sorted((at, uid) for uid, at in self._due.items() if at <= now and uid not in self._woken)
        return [*self._woken, *(uid for _, uid in due)][:LARGEST_BATCH]

    async def _attempt(self, only: Sequence[str] | None) -> bool:
        """Reconcile; return whether that was possible."""
        if only is not None and not only:
            self._metrics.ticked(self._phases.values(), self._clock())  # nothing is due: all is done
            return True
        started = self._clock()
        try:
            outcomes = await self._reconciler.tick(started, only)
        except (UnavailableError, StoreUnavailableError) as error:
            self._metrics.failed("tick")
            LOG.warning("nothing reconciled, trying again: %s", error)
            return False
        except Exception:
            self._metrics.failed("tick")
            LOG.exception("nothing reconciled, trying again")
            return False
        self._note(only, outcomes, started)
        return True

    def _note(self, only: Sequence[str] | None, outcomes: Sequence[Outcome], started: float) -> None:
        ended = self._clock()
        for outcome in outcomes:
            waited_since = self._woken.get(outcome.uid, self._due.get(outcome.uid, started))
            self._metrics.reconciled(outcome.seconds, max(0.0, ended - waited_since))
            if outcome.error:
                self._metrics.failed(outcome.error_port or "unknown")
            if outcome.decision:
                self._metrics.decided(outcome.decision)
        # Whom the reconciler did not mention is gone.
        for uid in only if only is not None else list(self._due):
            self._woken.pop(uid, None)
            self._due.pop(uid, None)
            self._models.pop(uid, None)
            self._phases.pop(uid, None)
        for outcome in outcomes:
            self._phases[outcome.uid] = outcome.phase
            if outcome.due_at is not None:
                self._due[outcome.uid] = outcome.due_at
                self._models[outcome.uid] = outcome.model
        self._metrics.ticked(self._phases.values(), ended)

    async def _discover(self, now: float) -> None:
        """Look at experiments that came or went without the watch telling."""
        try:
            listed = {test.uid for test in await self._tests.list()}
        except UnavailableError as error:
            LOG.warning("ABTests not listed: %s", error)
            return
        for uid in (listed - self._phases.keys()) | (self._due.keys() - listed):
            self._woken.setdefault(uid, now)
