"""Parts that follow their load: how long more pods take to come, how long they stay, and what requests notice of it.

An autoscaler is given to the platform while this runs; afterwards the settings are as before. The load comes from the
host through the gateway: people who ask again as soon as they may, and before and after that one who rests.
The goal of 60 s is about how soon Kubernetes is told to have as many pods as it may; what a pod then needs to load its
version comes on top.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from local.lifecycle.platform import Platform
from tests.e2e import scaling
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.scaling import API, LEAST, SLOT, TRACKING_SERVER, Engine, Part
from tests.e2e.visitors import Visit, Visitors

_CASES: tuple[tuple[Engine, tuple[Part, ...]], ...] = (("keda", (SLOT, API, TRACKING_SERVER)), ("hpa", (SLOT,)))
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
    found: dict[str, Round] = {}
    lines: list[str] = []
    for engine, parts in _CASES:
        with scaling.scaled(cluster, engine):
            for part in parts:
                with Visitors(part.ask(cluster)) as visitors:
                    found[f"{part.workload} by {engine}"] = _round(cluster, part, engine, visitors)
                failed = len(visitors.failed)
                lines.append(
                    f"{part.workload} by {engine}, {LEAST} to {part.most} pods: "
                    f"{len(visitors.visits)} requests, {failed} failed"
                )
    table = [_row("what", list(found)), "|---|" + "---:|" * len(found)]
    table += [_row(what, [f"{read(each):.0f}" for each in found.values()]) for what, read in _FIGURES.items()]
    return [*table, *lines]


def _round(cluster: Cluster, part: Part, engine: Engine, visitors: Visitors) -> Round:
    visitors.are(1, rest_seconds=_REST_SECONDS)
    _when(lambda: scaling.sees_all_measures(cluster, part, engine))
    _when(lambda: scaling.rests(cluster, part))
    began = visitors.are(_CROWD, rest_seconds=part.rest_seconds)
    first_wanted = _when(lambda: scaling.wanted(cluster, part) > LEAST) - began
    all_wanted = _when(lambda: scaling.wanted(cluster, part) == part.most) - began
    first_ready = _when(lambda: len(scaling.serving(cluster, part)) > LEAST) - began
    all_ready = _when(lambda: len(scaling.serving(cluster, part)) == part.most)
    time.sleep(_LOADED_SECONDS)
    calm = visitors.are(1, rest_seconds=_REST_SECONDS)
    fewer_wanted = _when(lambda: scaling.wanted(cluster, part) < part.most) - calm
    least_wanted = _when(lambda: scaling.wanted(cluster, part) == LEAST) - calm
    least_left = _when(lambda: scaling.rests(cluster, part)) - calm
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
    eventually(condition, within_seconds=_LIMIT_SECONDS, what="the part follows", every_seconds=_POLL_SECONDS)
    return time.monotonic()


def _median_ms(visits: list[Visit]) -> float:
    return 1_000 * statistics.median(visit.seconds for visit in visits)


_FIGURES: dict[str, Callable[[Round], float]] = {
    f"{_CROWD} people instead of one: a second pod wanted, s": lambda found: found.first_wanted,
    "as many pods as there may be wanted, s": lambda found: found.all_wanted,
    "a second pod serves, s": lambda found: found.first_ready,
    "all of them serve, s": lambda found: found.all_ready,
    f"P50 of the {_CROWD} people with {LEAST} pod, ms": lambda found: _median_ms(found.alone),
    f"P50 of the {_CROWD} people with all pods, ms": lambda found: _median_ms(found.crowded),
    "one person again: one pod less wanted, s": lambda found: found.fewer_wanted,
    f"{LEAST} pod wanted, s": lambda found: found.least_wanted,
    f"{LEAST} pod left, the others have ended, s": lambda found: found.least_left,
}


def _row(what: str, values: list[str]) -> str:
    return f"| {what} | {' | '.join(values)} |"
