"""How many pods an autoscaler keeps for a load, by the rules that the platform declares for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.regions.traffic import STEP_SECONDS


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """An autoscaler by CPU."""

    minimum: int = 2
    maximum: int = 50
    used_share: float = 0.7
    """Of a pod's core."""
    pod_cores: float = 1.0
    late_seconds: float = 60.0
    """From a load to the pods for it: measuring, looking, starting."""
    calm_seconds: float = 600.0
    """For so long the load must have been lower before a pod goes."""
    leaving_seconds: float = 60.0
    """From one pod that goes to the next."""


def pods_over_time(work_cores: NDArray[np.float64], scaler: Scaler) -> NDArray[np.float64]:
    """Return the pods that run, slots x steps.

    Args:
        work_cores: processor time per second that the requests of each step need, slots x steps.
        scaler: its rules.
    """
    late, calm, leaving = (
        round(seconds / STEP_SECONDS) for seconds in (scaler.late_seconds, scaler.calm_seconds, scaler.leaving_seconds)
    )
    wanted = np.clip(np.ceil(work_cores / (scaler.used_share * scaler.pod_cores)), scaler.minimum, scaler.maximum)
    found = np.empty_like(wanted)
    now = wanted[:, 0].copy()
    for step in range(wanted.shape[1]):
        known = max(0, step - late)
        highest = wanted[:, max(0, known - calm) : known + 1].max(axis=1)
        # Up at once to what is wanted; down to the highest of the calm time, one pod after the other.
        now = np.maximum(now, wanted[:, known])
        if step % leaving == 0:
            now = np.maximum(highest, now - 1)
        found[:, step] = now
    return found
