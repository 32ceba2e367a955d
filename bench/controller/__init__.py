"""500 experiments on one controller: the real loop, decisions and parser; API server, gateway and stores in memory.

In the second half of the time the candidates of a hundred of them start to answer slowly, at random moments, so that
what is counted is how long harm lasts that a look could have seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from ml.controller.loop import ControlLoop, Wakes
from ml.controller.metrics import ControllerMetrics
from ml.controller.ports import AbTest, RequestCounts, RequestTotal, RequestWindow, RouteState, SlotState
from ml.controller.reconciler import Reconciler
from ml.controller.request_windows import Series, window
from ml.events.memory import MemoryEventStore
from ml.events.ports import EpochOutcomes, OutcomeSums, UnitsSeen
from ml.experiments.ratio import mean_sums

_EXPERIMENTS: Final = 500
_FEW_EXPERIMENTS: Final = 150
_HARMED: Final = 100
_SECONDS: Final = 170.0
_HARM_SECONDS: Final = (60.0, 90.0)
"""When candidates get slow: the first and the last."""
_INTERVAL_SECONDS: Final = 30.0
_SCRAPE_SECONDS: Final = 5.0
_USERS_PER_SECOND: Final = 10.0
_SLOTS: Final = ("stable", "candidate-a")
_BAR: Final = "<= 3 s"


class _Lags(ControllerMetrics):
    """Keeps every lag instead of sorting them into buckets."""

    def __init__(self) -> None:
        super().__init__()
        self.lags: list[tuple[float, float]] = []
        self.seconds: list[float] = []

    def reconciled(self, seconds: float, lag_seconds: float) -> None:
        super().reconciled(seconds, lag_seconds)
        self.lags.append((time.time(), lag_seconds))
        self.seconds.append(seconds)


class _World:
    """All ports but the event store."""

    def __init__(self, experiments: int) -> None:
        self.started = time.time()
        self.tests = {f"uid-{k}": self._test(k) for k in range(experiments)}
        self.routes = {
            self._model(k): RouteState(weights={"stable": 1000, "candidate-a": 0}, salt_index=0)
            for k in range(experiments)
        }
        moments = np.random.default_rng(1).uniform(*_HARM_SECONDS, size=_HARMED)
        self.slow_from = {self._model(k): self.started + float(at) for k, at in enumerate(moments)}
        self.looks: dict[str, list[float]] = {}
        self.reaction_seconds: dict[str, float] = {}
        """Of every rolled back model: from the last look that did not lead to it until the candidate had no weight."""
        self.epochs: dict[str, dict[int, tuple[float, Mapping[str, int]]]] = {}

    @staticmethod
    def _model(k: int) -> str:
        return f"model_{k:03d}"

    def _test(self, k: int) -> AbTest:
        spec = {
            "model": self._model(k),
            "primary": {"name": "clicked", "minimumEffect": 0.02, "baseline": 0.3},
            "ramp": {"durationSeconds": 0},
            "durationSeconds": 86_400,
            "minSampleSize": 200,
            "expectedUnitsPerDay": 864_000,
            "reconcileIntervalSeconds": int(_INTERVAL_SECONDS),
        }
        return AbTest(
            uid=f"uid-{k}", name=f"test-{k}", namespace="bench", generation=1, resource_version="1", spec=spec,
            status={}, annotations={}, created_at=self.started,
        )  # fmt: skip

    async def list(self) -> Sequence[AbTest]:
        return list(self.tests.values())

    async def write_status(self, test: AbTest, status: Mapping[str, Any]) -> None:
        self.tests[test.uid] = replace(test, status=status)

    async def set_route(self, model: str, route: RouteState) -> None:
        self.routes[model] = route
        if model in self.looks and not route.weights["candidate-a"]:
            self._only_harmed(model)
            self.reaction_seconds.setdefault(model, time.time() - self.looks[model][-2])

    async def written(self, model: str) -> RouteState | None:
        return self.routes[model]

    async def in_force(self, model: str) -> RouteState | None:
        return self.routes[model]

    async def declared(self) -> Mapping[str, Sequence[str]]:
        return dict.fromkeys(self.routes, _SLOTS)

    async def state(self, model: str, slot: str) -> SlotState:
        del model
        return SlotState(slot=slot, ready_pods=2, serving_version=1 + _SLOTS.index(slot))

    async def alias(self, model: str, alias: str) -> int | None:
        del model
        return 1 if alias == "champion" else 2

    async def set_alias(self, model: str, alias: str, version: int) -> None:
        raise AssertionError(f"nothing is to be promoted: {model} {alias} {version}")

    async def delete_alias(self, model: str, alias: str) -> None:
        del alias
        self._only_harmed(model)

    async def since(self, moments: Mapping[str, float]) -> Mapping[str, RequestWindow]:
        now = time.time()
        newest = now // _SCRAPE_SECONDS * _SCRAPE_SECONDS
        for model in moments:
            self.looks.setdefault(model, []).append(now)
        return {
            model: RequestWindow(counts=_counts(since, newest, self.slow_from.get(model, np.inf)), newest_at=newest)
            for model, since in moments.items()
        }

    async def total(self, model: str, seconds: float) -> RequestTotal:
        raise AssertionError(f"experiments say what they expect: {model} {seconds}")

    async def seen(self, model: str, *, by_user: bool, since: float) -> UnitsSeen:
        raise AssertionError(f"experiments say what they expect: {model} {by_user} {since}")

    async def open_experiment(
        self, experiment: str, model: str, spec: Mapping[str, object], salt: str, started_at: float
    ) -> None:
        del model, spec, salt, started_at
        self.epochs.setdefault(experiment, {})

    async def start_epoch(self, experiment: str, index: int, weights: Mapping[str, int], started_at: float) -> None:
        self.epochs.setdefault(experiment, {}).setdefault(index, (started_at, weights))

    async def close_experiment(self, experiment: str, ended_at: float) -> None:
        del ended_at
        self._only_harmed(self._model(int(experiment.removeprefix("uid-"))))

    def _only_harmed(self, model: str) -> None:
        if not self.slow_from.get(model, np.inf) < time.time():
            raise AssertionError(f"nothing is to end: {model}")

    async def sums(self, experiments: Sequence[str]) -> Mapping[str, OutcomeSums]:
        now = time.time()
        return {uid: OutcomeSums(epochs=self._epochs(uid, now), newest_at=now) for uid in experiments}

    def _epochs(self, uid: str, now: float) -> dict[int, EpochOutcomes]:
        found: dict[int, EpochOutcomes] = {}
        entries = sorted(self.epochs.get(uid, {}).items())
        for place, (index, (started, weights)) in enumerate(entries):
            ended = entries[place + 1][1][0] if place + 1 < len(entries) else now
            units = {arm: int((ended - started) * _USERS_PER_SECOND * w / 1000) for arm, w in weights.items()}
            metrics = {
                name: {arm: mean_sums(n, round(n * share), round(n * share)) for arm, n in units.items()}
                for name, share in (("clicked", 0.3), ("correct", 0.9))
            }
            found[index] = EpochOutcomes(units=units, metrics=metrics)
        return found


def _counts(since: float, newest: float, slow_from: float) -> list[RequestCounts]:
    starts = np.arange(np.ceil(since / _SCRAPE_SECONDS) * _SCRAPE_SECONDS, newest, _SCRAPE_SECONDS)
    return [
        RequestCounts(
            slot=slot,
            started_at=float(at),
            ended_at=float(at) + _SCRAPE_SECONDS,
            requests=25,
            failed=0,
            above={100: 25 if slot != _SLOTS[0] and at >= slow_from else 1},
        )
        for at in starts
        for slot in _SLOTS
    ]


def run() -> list[str]:
    """Measure and return a Markdown table."""
    logging.disable(logging.WARNING)
    world, metrics = asyncio.run(_controller(_EXPERIMENTS))
    few, _ = asyncio.run(_controller(_FEW_EXPERIMENTS))
    # The first intervals hold the beginning of all experiments at one moment, which no platform sees.
    settled = [lag for at, lag in metrics.lags if at > metrics.lags[0][0] + 35]
    beginning = max(lag for at, lag in metrics.lags if at <= metrics.lags[0][0] + 35)
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    p99 = float(np.quantile(settled, 0.99))
    rows = [
        f"| lag, {_EXPERIMENTS} experiments every 30 s, P99 of {len(settled)} | {p99:.2f} s | {_BAR} |",
        f"| the same, median | {float(np.median(settled)):.2f} s | |",
        f"| one reconcile, median | {1000 * float(np.median(metrics.seconds)):.1f} ms | |",
        _reaction(world, _EXPERIMENTS),
        _reaction(few, _FEW_EXPERIMENTS),
        f"| {_EXPERIMENTS} experiments begun at one moment, largest lag | {beginning:.1f} s | |",
        f"| memory of the process, at most | {memory_mib:.0f} MiB | |",
        f"| raw samples of {_EXPERIMENTS} models over 35 s to counts | {_parsing_seconds():.2f} s | |",
    ]
    return ["| what | figure | bar |", "|---|---:|---:|", *rows]


def _reaction(world: _World, experiments: int) -> str:
    seconds = list(world.reaction_seconds.values())
    what = f"rollback with {experiments} experiments, from the look before the crossing to weight 0"
    bar = f"<= {_INTERVAL_SECONDS + 2:g} s"
    if len(seconds) < _HARMED:
        return f"| {what}: only {len(seconds)} of {_HARMED} were rolled back | | {bar} |"
    return f"| {what}, P99 of {len(seconds)} | {float(np.quantile(seconds, 0.99)):.2f} s | {bar} |"


async def _controller(experiments: int) -> tuple[_World, _Lags]:
    world, metrics = _World(experiments), _Lags()
    reconciler = Reconciler(
        tests=world, traffic=world, slots=world, registry=world, requests=world,
        events=MemoryEventStore(), outcomes=world,
    )  # fmt: skip
    loop = ControlLoop(reconciler, world, Wakes(), metrics)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SECONDS):
            await loop.run()
    return world, metrics


def _parsing_seconds() -> float:
    moments = [_SCRAPE_SECONDS * k for k in range(8)]
    samples = [(at, 10.0 * at) for at in moments]
    requests = [Series(instance="a", slot=slot, key=key, samples=samples) for slot in _SLOTS for key in ("2xx", "5xx")]
    edges = ("5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "+Inf")
    latencies = [Series(instance="a", slot=slot, key=key, samples=samples) for slot in _SLOTS for key in edges]
    started = time.perf_counter()
    for _ in range(_EXPERIMENTS):
        window(requests, latencies, since=0)
    return time.perf_counter() - started
