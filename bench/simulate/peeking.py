"""A/A experiments looked at every 30 seconds: how often is an equal arm promoted, or rolled back?

The naive rule (|z| > 1.96 at any look) is shown beside. Both rules of the library use the whole alpha here,
though a real experiment grants each only its share of the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bench.simulate.report import Line, at_most
from ml.experiments.boundaries import spending_boundaries
from ml.experiments.evidence import SMALLEST_EVENT_COUNT
from ml.experiments.looks import SMALLEST_INCREMENT
from ml.experiments.mixtures import best_rho, mixture_boundary
from ml.experiments.validation import FloatArray

ALPHA = 0.05
MINIMUM_N = 1000
HORIZONS = {"1 h": 120, "24 h": 2_880, "7 d": 20_160}
RATES = (0.001, 0.01, 0.05, 0.2)

Sums = tuple[FloatArray, FloatArray]
Draw = Callable[[np.random.Generator, int], Sums]
"""Sum and sum of squares that arrive in one arm between two looks, for many runs at once."""


@dataclass(frozen=True)
class Outcome:
    """Counts of runs that ended in a false claim."""

    promoted: int
    rolled_back: int
    naive: int


def bernoulli(rate: float, users: int) -> Draw:
    """Yes-no outcomes."""

    def draw(rng: np.random.Generator, runs: int) -> Sums:
        x = rng.binomial(users, rate, runs).astype(np.float64)
        return x, x

    return draw


def lognormal(users: int) -> Draw:
    """Latencies with a heavy right tail (sigma 1)."""

    def draw(rng: np.random.Generator, runs: int) -> Sums:
        x = np.exp(rng.standard_normal((users, runs), dtype=np.float32)).astype(np.float64)
        return x.sum(axis=0), (x * x).sum(axis=0)

    return draw


def z_paths(
    draw: Draw, users: int, looks: int, runs: int, seed: int, *, counts: bool
) -> Iterator[tuple[int, FloatArray]]:
    """Yield (n per arm, z) at each look; z is 0 while a library method would not speak yet."""
    rng = np.random.default_rng(seed)
    state = np.zeros((4, runs))
    for look in range(1, looks + 1):
        for arm in (0, 2):
            sums, squares = draw(rng, runs)
            state[arm] += sums
            state[arm + 1] += squares
        n = look * users
        spread = state[1] - state[0] ** 2 / n + state[3] - state[2] ** 2 / n
        error = np.sqrt(np.maximum(spread, 1e-300) / (n - 1) * n)
        z = np.where(spread > 0, (state[2] - state[0]) / error, 0.0)
        if counts:
            hits = state[0] + state[2]
            z = np.where(np.minimum(hits, 2 * n - hits) < SMALLEST_EVENT_COUNT, 0.0, z)
        yield n, z


def simulate(draw: Draw, users: int, looks: int, runs: int, seed: int, *, counts: bool) -> Outcome:
    """Run A/A experiments; promotion looks are thinned to 0.1 % of information, as `decide` does."""
    fractions = np.arange(1, looks + 1) / looks
    minimum = MINIMUM_N if looks * users >= 4 * MINIMUM_N else looks * users // 4
    taken = [k for k in range(looks) if (k + 1) * users >= minimum]
    step = max(1, int(np.ceil(SMALLEST_INCREMENT * looks - 1e-9)))
    spending_looks = sorted({*taken[::step], looks - 1})
    bounds = dict(
        zip(
            spending_looks,
            (look.boundary for look in spending_boundaries(fractions[spending_looks], alpha=ALPHA / 2, sides=1)),
            strict=True,
        )
    )
    horizon = looks * users
    rho = best_rho(max(minimum, horizon / 4), ALPHA, sides=1)
    promoted, rolled_back, naive = (np.zeros(runs, dtype=bool) for _ in range(3))
    for k, (n, z) in enumerate(z_paths(draw, users, looks, runs, seed, counts=counts)):
        naive |= np.abs(z) > 1.959964
        if n < minimum:
            continue
        rolled_back |= -z > mixture_boundary(n, ALPHA, rho, sides=1) / n**0.5
        if k in bounds:
            promoted |= z >= bounds[k]
    return Outcome(int(promoted.sum()), int(rolled_back.sum()), int(naive.sum()))


def lines(runs: int, seed: int, horizons: tuple[str, ...] = tuple(HORIZONS)) -> Iterator[Line]:
    """Yield two lines per horizon and metric."""
    for name in horizons:
        looks = HORIZONS[name]
        metrics = [(f"p = {rate:g}", bernoulli(rate, 100), 100, True) for rate in RATES]
        metrics.append(("lognormal latency", lognormal(10), 10, False))
        for index, (metric, draw, users, counts) in enumerate(metrics):
            found = simulate(draw, users, looks, runs, seed + 101 * index, counts=counts)
            beside = f"naive rule {found.naive / runs:.3f}"
            yield at_most(f"A/A, {name}, {metric}: false promotion", found.promoted, runs, ALPHA, beside)
            yield at_most(f"A/A, {name}, {metric}: false rollback", found.rolled_back, runs, ALPHA, beside)
