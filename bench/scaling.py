"""A slot that follows its load: how long more pods take to come, how long they stay, and what requests notice of it.

KEDA is given to the node and decides about all slots while this runs; afterwards the settings are as before. The load
comes from the host through the gateway: people who ask again as soon as they are answered, and before and after that
one who rests. The goal of 60 s is about how soon Kubernetes is told to have as many pods as it may; what a pod then
needs to load its version comes on top.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from local.lifecycle.platform import Platform
from tests.e2e import scaling
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.scaling import LEAST, MOST, WORKLOAD, Visit, Visitors

_ROUNDS = 2
_CROWD = 10
_REST_SECONDS = 0.5
_LOADED_SECONDS = 60.0
_LIMIT_SECONDS = 900.0
_POLL_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Round:
    """One rise and fall; times in seconds from the moment at which the load changed."""

    first_wanted: float
    all_wanted: float
    first_ready: float
    all_ready: float
    fewer_wanted: float
    least_wanted: float
    least_left: float
    alone: list[Visit]
    crowded: list[Visit]


def run(running: Platform) -> list[str]:
    """Return the lines of the report."""
    cluster = Cluster(running)
    with scaling.scaled(cluster), Visitors(cluster) as visitors:
        visitors.are(1, rest_seconds=_REST_SECONDS)
        eventually(
            lambda: scaling.sees_both_measures(cluster), within_seconds=300, what="the autoscaler sees both measures"
        )
        eventually(lambda: scaling.rests(cluster), within_seconds=_LIMIT_SECONDS, what="one pod is enough")
        rounds = [_round(cluster, visitors) for _ in range(_ROUNDS)]
    lines = ["| what | " + " | ".join(f"round {number + 1}" for number in range(_ROUNDS)) + " |"]
    lines.append("|---|" + "---:|" * _ROUNDS)
    lines += [_row(what, [read(found) for found in rounds]) for what, read in _FIGURES.items()]
    failed = len(visitors.failed)
    return [*lines, f"{WORKLOAD}, {LEAST} to {MOST} pods: {len(visitors.visits)} requests, {failed} failed"]


def _round(cluster: Cluster, visitors: Visitors) -> Round:
    began = visitors.are(_CROWD)
    first_wanted = _when(lambda: scaling.wanted(cluster) > LEAST) - began
    all_wanted = _when(lambda: scaling.wanted(cluster) == MOST) - began
    first_ready = _when(lambda: len(scaling.serving(cluster)) > LEAST) - began
    all_ready = _when(lambda: len(scaling.serving(cluster)) == MOST)
    time.sleep(_LOADED_SECONDS)
    calm = visitors.are(1, rest_seconds=_REST_SECONDS)
    fewer_wanted = _when(lambda: scaling.wanted(cluster) < MOST) - calm
    least_wanted = _when(lambda: scaling.wanted(cluster) == LEAST) - calm
    least_left = _when(lambda: scaling.rests(cluster)) - calm
    return Round(
        first_wanted=first_wanted,
        all_wanted=all_wanted,
        first_ready=first_ready,
        all_ready=all_ready - began,
        fewer_wanted=fewer_wanted,
        least_wanted=least_wanted,
        least_left=least_left,
        alone=[visit for visit in visitors.visits if began <= visit.began < began + first_ready],
        crowded=[visit for visit in visitors.visits if all_ready <= visit.began < calm],
    )


def _when(condition: Callable[[], bool]) -> float:
    eventually(condition, within_seconds=_LIMIT_SECONDS, what="the slot follows", every_seconds=_POLL_SECONDS)
    return time.monotonic()


def _median_ms(visits: list[Visit]) -> float:
    return 1_000 * statistics.median(visit.seconds for visit in visits)


_FIGURES: dict[str, Callable[[Round], float]] = {
    f"{_CROWD} people instead of one: a second pod wanted, s": lambda found: found.first_wanted,
    f"{MOST} pods wanted, s": lambda found: found.all_wanted,
    "a second pod serves, s": lambda found: found.first_ready,
    f"{MOST} pods serve, s": lambda found: found.all_ready,
    f"P50 of the {_CROWD} people with {LEAST} pod, ms": lambda found: _median_ms(found.alone),
    f"P50 of the {_CROWD} people with {MOST} pods, ms": lambda found: _median_ms(found.crowded),
    "one person again: one pod less wanted, s": lambda found: found.fewer_wanted,
    f"{LEAST} pod wanted, s": lambda found: found.least_wanted,
    f"{LEAST} pod left, the others have ended, s": lambda found: found.least_left,
}


def _row(what: str, values: list[float]) -> str:
    return f"| {what} | " + " | ".join(f"{value:.0f}" for value in values) + " |"
