"""Reconciles experiments: reads the stream, looks at the world, records what follows and does it.

All state is in the event store. What is kept here between two ticks only saves reading it again, and a process that
starts with nothing does the same things.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ml.contracts import SALT_COUNT
from ml.controller.admission import Queued, Refused, admit
from ml.controller.daily_units import UnitsMeter
from ml.controller.facts import admission_facts
from ml.controller.fold import fold
from ml.controller.measuring import measure
from ml.controller.observation import Action, Observation
from ml.controller.observer import ExperimentIndex, Ports, Trouble, attempt, observe, perform, port_of
from ml.controller.ports import (
    AbTest,
    Registry,
    Requests,
    Slots,
    TestGoneError,
    Tests,
    Traffic,
    UnavailableError,
)
from ml.controller.queue import Known, Tick, age, created, earlier_experiments, model_of, refused
from ml.controller.reading import refresh, refresh_all
from ml.controller.status import status_document, unreadable_status
from ml.controller.timing import RETRY_SECONDS, due_at
from ml.controller.transitions import actions, plan
from ml.events.ports import EventStore, OutcomeStore, StoreUnavailableError, VersionConflictError
from ml.events.types import ExperimentEvent, experiment_stream

LOG: Final = logging.getLogger(__name__)
QUEUE_SECONDS: Final = 5.0
"""How often an experiment that waits for its turn is looked at."""
MOST_PASSES: Final = 12
"""Steps that one experiment may take in one tick, so that it cannot keep others waiting."""
_AT_ONCE: Final = 16
"""Models that are worked on at the same time."""


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """What became of one experiment in a tick."""

    uid: str
    name: str
    model: str
    phase: str
    due_at: float | None
    """When to look again; None when it has ended."""
    decision: str | None = None
    """Action of the decision that was made, if one was."""
    error: str = ""
    error_port: str = ""
    seconds: float = 0.0


class Reconciler:
    """Owns no state that the event store does not have."""

    def __init__(
        self,
        *,
        tests: Tests,
        traffic: Traffic,
        slots: Slots,
        registry: Registry,
        requests: Requests,
        events: EventStore,
        outcomes: OutcomeStore,
        index: ExperimentIndex | None = None,
    ) -> None:
        self._ports = Ports(
            tests=tests,
            traffic=traffic,
            slots=slots,
            registry=registry,
            requests=requests,
            events=events,
            outcomes=outcomes,
        )
        self._meter = UnitsMeter(outcomes, requests)
        self._index = index
        self._known: dict[str, Known] = {}
        self._is_indexed = False

    async def tick(self, now: float, only: Collection[str] | None = None) -> Sequence[Reconciled]:
        """Reconcile all experiments, or some by the uid of their `ABTest`.

        Raises:
            UnavailableError: the `ABTest` objects cannot be listed; nothing was done.
        """
        listed = await self._ports.tests.list()
        shared = Trouble("tick")
        declared = await attempt("slots", self._ports.slots.declared(), shared)
        tick = Tick(
            now=now,
            tests={test.uid: test for test in listed},
            declared={model: tuple(slots) for model, slots in (declared or {}).items()},
        )
        await self._find_orphans(only is None)
        chosen = await self._choose(tick, only)
        tick.measured = await measure(self._ports, {known.uid: known.state for known in chosen}, now)
        for known in chosen:
            if known.uid in tick.measured.asked:
                known.failure = tick.measured.failures.get(known.uid)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def of_one_model(group: Sequence[Known]) -> list[Reconciled]:
            async with gate:
                return [await self._reconcile(known, tick) for known in group]

        done = await asyncio.gather(*(of_one_model(group) for group in self._by_model(chosen, tick).values()))
        for uid in [known.uid for known in self._known.values() if known.uid not in tick.tests]:
            if not self._known[uid].state.is_running and self._known[uid].is_read:
                del self._known[uid]
        return [item for group in done for item in group]

    # What to look at -------------------------------------------------------------------------------------------------
    async def _find_orphans(self, everything: bool) -> None:
        """Learn of experiments whose `ABTest` was deleted while nobody looked."""
        if self._index is None or (self._is_indexed and not everything):
            return
        try:
            for uid in await self._index.unfinished():
                self._known.setdefault(uid, Known(uid))
            self._is_indexed = True
        except StoreUnavailableError as error:
            LOG.warning("unfinished experiments are not known: %s", error)

    async def _choose(self, tick: Tick, only: Collection[str] | None) -> Sequence[Known]:
        """Return whom to reconcile, oldest first; streams that are not known yet are read, of all experiments."""
        for uid in tick.tests:
            self._known.setdefault(uid, Known(uid))
        everybody = sorted(self._known.values(), key=lambda known: age(known, tick))
        fresh = [known for known in everybody if not known.is_read]
        chosen = [known for known in everybody if only is None or known.uid in only]
        reading = {known.uid: known for known in (*fresh, *chosen) if only is not None or not known.state.is_final}
        await refresh_all(self._ports.events, reading.values())
        return [known for known in chosen if known.uid in tick.tests or known.state.is_running or not known.is_read]

    def _by_model(self, chosen: Sequence[Known], tick: Tick) -> Mapping[str, list[Known]]:
        groups: dict[str, list[Known]] = {}
        for known in chosen:
            groups.setdefault(model_of(known, tick), []).append(known)
        return groups

    # One experiment --------------------------------------------------------------------------------------------------
    async def _reconcile(self, known: Known, tick: Tick) -> Reconciled:
        started = time.monotonic()
        test = tick.tests.get(known.uid)
        trouble = Trouble(test.name if test is not None else known.uid)
        decided_before = known.state.chain.hash
        due: float | None = tick.now + RETRY_SECONDS
        try:
            due = await self._steps(known, test, tick, trouble)
        except (UnavailableError, StoreUnavailableError) as error:
            trouble.note("events", error)
        except Exception as error:
            LOG.exception("%s: reconcile failed", trouble.name)
            trouble.note("controller", error)
        decided = known.state.chain.hash != decided_before
        if trouble.port and due is not None:
            due = min(due, tick.now + RETRY_SECONDS)
        return Reconciled(
            uid=known.uid,
            name=trouble.name,
            model=model_of(known, tick),
            phase=known.state.phase,
            due_at=due,
            decision=str(known.state.decision.get("action")) if decided else None,
            error=trouble.message,
            error_port=trouble.port,
            seconds=time.monotonic() - started,
        )

    async def _steps(self, known: Known, test: AbTest | None, tick: Tick, trouble: Trouble) -> float | None:
        if known.unreadable:
            trouble.note("events", ValueError(f"the experiment's stream cannot be read: {known.unreadable}"))
        if not known.is_read:
            if known.unreadable and test is not None and not test.deleted:
                await self._write_status(test, unreadable_status(test, trouble.message, tick.now), trouble)
            raise StoreUnavailableError("the experiment's stream could not be read")
        if known.failure is not None and known.state.is_running:
            trouble.note(known.failure.port, known.failure.error)
        behind, waiting = await self._admit(known, test, tick, trouble)
        observation = Observation(test=test)
        for turn in range(MOST_PASSES):
            # Metrics were read before the first step; a decision is due once in a tick at most.
            measured = tick.measured if turn == 0 else None
            observation = await observe(
                self._ports, known.state, test, known.told, tick.declared, measured, trouble, tick.now
            )
            if not await self._step(known, observation, tick.now, trouble):
                break
        if test is not None and not test.deleted:
            said = trouble.message
            status = status_document(
                known.state, observation, test, tick.now, behind=behind, waiting=waiting, trouble=said
            )
            await self._write_status(test, status, trouble)
        if known.state.promise is None and not known.state.is_final:
            return tick.now + QUEUE_SECONDS
        return due_at(known.state, observation, tick.now)

    async def _step(self, known: Known, observation: Observation, now: float, trouble: Trouble) -> bool:
        """Take one step; return whether another look is worth it."""
        step = plan(known.state, observation, now)
        if step.events:
            try:
                known.position = await self._append(known, step.events)
            except VersionConflictError:
                await refresh(self._ports.events, known)
                return True
            except StoreUnavailableError as error:
                trouble.note("events", error)
                # Nothing new can be promised, but what was promised before still holds: no weight on a dead slot.
                await self._perform(known, actions(known.state, observation, now), trouble)
                return False
            known.state = step.state
        did = await self._perform(known, step.actions, trouble)
        return bool(step.events) or did

    async def _append(self, known: Known, events: Sequence[ExperimentEvent]) -> int:
        return await self._ports.events.append(experiment_stream(known.uid), known.position, events)

    async def _perform(self, known: Known, todo: Sequence[Action], trouble: Trouble) -> bool:
        """Do all of it; return whether something was done and nothing failed."""
        failed = False
        for action in todo:
            try:
                await perform(self._ports, known.state, action, known.told)
            except (UnavailableError, StoreUnavailableError, VersionConflictError) as error:
                trouble.note(port_of(action), error)
                failed = True
        return bool(todo) and not failed

    async def _write_status(self, test: AbTest, status: Mapping[str, Any], trouble: Trouble) -> None:
        if status == dict(test.status):
            return
        try:
            await self._ports.tests.write_status(test, status)
        except TestGoneError:
            LOG.info("%s: deleted in the meantime", test.name)
        except UnavailableError as error:
            trouble.note("tests", error)

    # Admission -------------------------------------------------------------------------------------------------------
    async def _admit(
        self, known: Known, test: AbTest | None, tick: Tick, trouble: Trouble
    ) -> tuple[Sequence[str], str]:
        """Admit or refuse a new experiment; return whom it is behind and why it waits."""
        state = known.state
        if state.promise is not None or state.is_final or test is None or test.deleted or not tick.declared:
            return (), ""
        if any(command.action == "stop" for command in state.pending):
            return (), ""
        model = str(test.spec.get("model", ""))
        earlier = earlier_experiments(self._known.values(), known, model, tick)
        if earlier is None:
            return (), "whether the model has another experiment is not known"
        facts = await admission_facts(self._ports, self._meter, test, tick, earlier, trouble)
        if isinstance(facts, str):
            return (), facts
        verdict = admit(test.spec, facts)
        if isinstance(verdict, Queued):
            return verdict.behind, verdict.message
        if isinstance(verdict, Refused):
            event = refused(test, model, verdict, facts.measured, tick.now)
        else:
            written = await attempt("traffic", self._ports.traffic.written(model), trouble)
            if written is None:
                return (), "the model has no split yet"
            event = created(test, verdict, (written.salt_index + 1) % SALT_COUNT, tick.now)
        try:
            known.position = await self._append(known, [event])
        except VersionConflictError:
            await refresh(self._ports.events, known)
            return (), ""
        known.state = fold([event], known.state)
        return (), ""
