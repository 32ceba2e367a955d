"""Where things are in a chart: scales, round ticks and their labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 760.0
LEFT: Final = 64.0
RIGHT: Final = 16.0
TOP: Final = 14.0
BOTTOM: Final = 34.0
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_TIME_STEPS_SECONDS: Final = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200,
    86_400, 172_800, 345_600, 604_800, 1_209_600, 2_592_000, 7_776_000,
)  # fmt: skip
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class Scale:
    """A linear map from data to the drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value, rounded to a tenth of a pixel."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def horizontal(low: float, high: float) -> Scale:
    """Return the scale of the time axis; a single moment gets some room."""
    return Scale(low, high if high > low else low + 1.0, LEFT, WIDTH - RIGHT)


def vertical(low: float, high: float, height: float) -> Scale:
    """Return the scale of the value axis, larger values higher up."""
    return Scale(low, high if high > low else low + 1.0, height - BOTTOM, TOP)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers inside a range."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * size for factor in _STEPS if factor * size >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    # Rounding takes away 0.30000000000000004, which would be written out.
    return [round(k * step, 12 - math.floor(math.log10(step))) for k in range(first, last + 1)]


def time_ticks(seconds: float, count: int = 6) -> list[tuple[float, str]]:
    """Return round durations from 0 to `seconds`, with labels in one unit."""
    step = next((s for s in _TIME_STEPS_SECONDS if s * count >= seconds), _TIME_STEPS_SECONDS[-1])
    step *= max(1, math.ceil(seconds / (step * 2 * count)))
    unit, name = next((unit, name) for unit, name in _UNITS if step % unit == 0)
    return [(float(k), f"{k // unit} {name}") for k in range(0, math.floor(seconds) + 1, step)]


def evenly(items: Sequence[int], count: int) -> list[int]:
    """Return at most `count` of the items, evenly spaced, always first and last."""
    if len(items) <= count:
        return list(items)
    return [items[round(k * (len(items) - 1) / (count - 1))] for k in range(count)]
