"""Ten regions of a thousand models each, simulated for a day: what a region needs, and which part ends first.

Nothing of this size was run. The costs of a request, a look and an outcome are those that were measured on the embedded
platform (docs/benchmarks.md); the traffic is drawn, the autoscaler follows the rules that the platform declares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.regions.capacity import Scaler, pods_over_time
from bench.regions.traffic import STEP_SECONDS, Traffic, requests_per_second

REGIONS: Final = 10
MODELS: Final = 1_000
_SEED: Final = 20_261_126
_SLOTS: Final = 2
_TYPICAL_PEAK_PER_SECOND: Final = 15_000.0
_SPREAD_OF_PEAKS: Final = 0.5
"""Standard deviation of the logarithm, between regions."""

_REQUEST_CPU_SECONDS: Final = 1.0e-3
"""Of a model server: 1,936 requests/s kept two cores busy, load generator included."""
_GATEWAY_CPU_SECONDS: Final = 0.22e-3
"""What 1,598 requests/s through the gateway cost more than 1,936 without it."""
_POD_GIB: Final = 1.0
"""What a model server's pod reserves."""
_NODE_GIB: Final = 60
_EXPERIMENTS_OF_A_CONTROLLER: Final = 500
_OUTCOMES_PER_SECOND: Final = 8_000
"""Of one PostgreSQL on two cores."""
_OUTCOME_BYTES: Final = 300
"""With its indexes, before old days are dropped."""
_SERIES_OF_A_SLOT: Final = 150
"""Gateway and model server together."""
_PROMETHEUS_SERIES: Final = 2_000_000
"""What its makers' users run in one server with 16 GiB; not measured here."""
_SHARE_IN_EXPERIMENTS: Final = 0.3
_SHARE_REPORTED: Final = 0.2
"""Requests whose outcome is reported."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """A day of one region."""

    requests_per_second: float
    """At the peak."""
    pods_peak: int
    pods_mean: float
    waiting_share: float
    """Requests that came when their slot's pods had more to do than time."""
    outcomes_per_second: float
    """At the peak."""
    stored_gib_per_day: float


def simulate(region: int, seed: int = _SEED) -> Region:
    """Return a day of one of the regions; the same for the same seed.

    Args:
        region: 0 to 9; each is an hour or two further around the world, and of a size of its own.
        seed: of everything that is drawn.
    """
    rng = np.random.default_rng([seed, region])
    peak = _TYPICAL_PEAK_PER_SECOND * math.exp(rng.normal(0.0, _SPREAD_OF_PEAKS))
    traffic = Traffic(models=MODELS, peak_per_second=peak, peak_hour=2.4 * region)
    rates = requests_per_second(traffic, rng)
    work = rates * _REQUEST_CPU_SECONDS
    pods = pods_over_time(work, Scaler())
    waiting: NDArray[np.float64] = np.where(work > pods, rates, 0.0)
    reported = rates.sum(axis=0) * _SHARE_REPORTED * _SHARE_IN_EXPERIMENTS
    # The candidate's slots of the models that are in an experiment do the same work as their stable ones.
    slots = 1.0 + _SHARE_IN_EXPERIMENTS * (_SLOTS - 1)
    return Region(
        requests_per_second=float(rates.sum(axis=0).max()),
        pods_peak=round(float(pods.sum(axis=0).max()) * slots),
        pods_mean=float(pods.sum(axis=0).mean()) * slots,
        waiting_share=float(waiting.sum()) / float(rates.sum()),
        outcomes_per_second=float(reported.max()),
        stored_gib_per_day=float(reported.sum()) * STEP_SECONDS * _OUTCOME_BYTES / 1024**3,
    )


def run() -> list[str]:
    """Simulate and return Markdown tables."""
    regions = [simulate(number) for number in range(REGIONS)]
    rows = [
        f"| {number + 1} | {it.requests_per_second:,.0f} | {it.pods_peak:,} | {it.pods_mean:,.0f} | "
        f"{100 * it.waiting_share:.3f} % | {it.outcomes_per_second:,.0f} | {it.stored_gib_per_day:,.0f} |"
        for number, it in enumerate(regions)
    ]
    return [
        "| region | requests/s, peak | pods, peak | pods, mean | requests that waited | outcomes/s, peak | GiB/day |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *rows,
        "the largest region against what one of each part bears:\n",
        "| part of the largest region | needs | one of it bears | so many |",
        "|---|---:|---:|---:|",
        *_bounds(max(regions, key=lambda it: it.requests_per_second)),
    ]


def _bounds(region: Region) -> list[str]:
    table = [
        ("controllers", "experiments", MODELS * _SHARE_IN_EXPERIMENTS, _EXPERIMENTS_OF_A_CONTROLLER),
        ("PostgreSQL for outcomes", "outcomes/s", region.outcomes_per_second, _OUTCOMES_PER_SECOND),
        ("Prometheus", "series", MODELS * _SLOTS * _SERIES_OF_A_SLOT, _PROMETHEUS_SERIES),
        ("gateways of 2 cores", "cores", region.requests_per_second * _GATEWAY_CPU_SECONDS, 2),
        ("nodes for model servers", "GiB", region.pods_peak * _POD_GIB, _NODE_GIB),
    ]
    return [
        f"| {part} | {needs:,.0f} {unit} | {bears:,} | {math.ceil(needs / bears)} |"
        for part, unit, needs, bears in table
    ]
