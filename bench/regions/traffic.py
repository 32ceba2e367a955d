"""Requests of the models of one region over a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

STEP_SECONDS: Final = 15.0
STEPS: Final = int(86_400 / STEP_SECONDS)
_POPULARITY: Final = 1.1
"""Exponent of Zipf's law: the most popular model gets some tenth of everything."""
_NIGHT_SHARE: Final = 0.2
_WANDERING: Final = 0.3
"""Standard deviation of the logarithm of a model's rate around its course."""
_WANDERING_SECONDS: Final = 3_600.0
_BURST_FACTOR: Final = 3.0
_BURST_SECONDS: Final = 600.0
_BURST_RISE_SECONDS: Final = 120.0


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What the day of a region is like."""

    models: int
    peak_per_second: float
    """Of all models together, but for bursts."""
    peak_hour: float
    """Hour of the day, in one time for all regions, at which most requests come."""


def requests_per_second(traffic: Traffic, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return rates, models x steps: popularity by Zipf, a day's course, slow wandering, and a burst for each model."""
    seconds = np.arange(STEPS, dtype=np.float64) * STEP_SECONDS
    popularity = np.arange(1, traffic.models + 1, dtype=float) ** -_POPULARITY
    popularity /= popularity.sum()
    phase = 2 * np.pi * (seconds / 3_600 - traffic.peak_hour) / 24
    course = _NIGHT_SHARE + (1 - _NIGHT_SHARE) * (1 + np.cos(phase)) / 2
    return (
        traffic.peak_per_second
        * popularity[:, None]
        * course
        * np.exp(_wandering(traffic.models, rng))
        * _bursts(traffic.models, seconds, rng)
    )


def _wandering(models: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a stationary autoregressive course for each model, with mean 0."""
    kept = np.exp(-STEP_SECONDS / _WANDERING_SECONDS)
    steps = rng.normal(0.0, _WANDERING * np.sqrt(1 - kept**2), size=(models, STEPS))
    found = np.empty_like(steps)
    found[:, 0] = rng.normal(0.0, _WANDERING, size=models)
    for step in range(1, STEPS):
        found[:, step] = kept * found[:, step - 1] + steps[:, step]
    return found


def _bursts(models: int, seconds: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return factors: 1, but at one moment of its day a model's rate rises threefold, within two minutes."""
    begins = rng.uniform(0, 86_400 - _BURST_SECONDS, size=models)[:, None]
    since = seconds[None, :] - begins
    rising = np.clip(since / _BURST_RISE_SECONDS, 0, 1)
    return np.where((since >= 0) & (since < _BURST_SECONDS), 1 + (_BURST_FACTOR - 1) * rising, 1.0)
