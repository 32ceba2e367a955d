"""The one model of the simulated world: what is true of its slots, and the experiments that are made with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MODEL = "content_quality_model"
START = 1_800_000_000.0
LONG = {"name": "converted", "baseline": 0.5, "minimumEffect": 0.007}
"""A primary metric that takes ten minutes of virtual time."""


@dataclass
class Arm:
    """What is true of a slot's model, and of its pods."""

    version: int | None
    converts: float = 0.5
    correct: float = 0.9
    slow: float = 0.01
    fails: float = 0.001
    ready: bool = True


def default_spec(slots: Sequence[str]) -> dict[str, Any]:
    """Return a spec that ends within a minute or two of virtual time."""
    rest = round(50 / max(1, len(slots) - 1), 1)
    control = 100 - rest * (len(slots) - 1)
    return {
        "model": MODEL,
        "arms": [{"slot": s, "weightPercent": control if s == "stable" else rest} for s in slots],
        "primary": {"name": "converted", "baseline": 0.5, "minimumEffect": 0.05},
        "ramp": {"durationSeconds": 0},
        "durationSeconds": 900,
        "expectedUnitsPerDay": 34_560_000,
        "minSampleSize": 500,
        "reconcileIntervalSeconds": 5,
        "noData": {"staleAfterSeconds": 30, "timeoutSeconds": 120},
    }
