"""Drift noticed while it happens: a detector over a stream, with a guaranteed time between false alarms.

Each new value is bet on: under "the mean is still at most the reference" the bet's wealth cannot grow on
average, whatever the distribution on [0, 1]. The Shiryaev-Roberts sum of the wealth of all possible starting
points of the drift is an e-detector; raising the alarm when it reaches 1 / alpha gives on average at least
1 / alpha values between false alarms. No distribution is fitted and no window has to be chosen, which
adaptive-window detectors (ADWIN, Page-Hinkley) cannot promise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from ml.experiments import validation as check

_BETS: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Fractions of the largest safe bet that are tried side by side; small ones find small shifts."""


@dataclass(frozen=True)
class MeanShiftDetector:
    """Watches the mean of values in [0, 1]; immutable, `update` returns the next state.

    Attributes:
        reference_mean: the mean (or rate) that is normal, strictly between 0 and 1.
        direction: the shift to look out for; "both" splits the false-alarm rate.
        mean_values_between_false_alarms: at least this many values on average while nothing drifts.
        log_detectors: log Shiryaev-Roberts sums, per direction and bet.
        seen: values so far.
    """

    reference_mean: float
    direction: Literal["up", "down", "both"] = "both"
    mean_values_between_false_alarms: float = 10_000.0
    log_detectors: tuple[float, ...] = ()
    seen: int = 0

    def __post_init__(self) -> None:
        check.probability("reference_mean", self.reference_mean)
        check.choice("direction", self.direction, ("up", "down", "both"))
        check.finite("mean_values_between_false_alarms", self.mean_values_between_false_alarms, minimum=2.0)

    @property
    def evidence(self) -> float:
        """The detector's value, mixed over directions and bets; the alarm is at the mean time between alarms."""
        if not self.log_detectors:
            return 0.0
        return float(np.exp(np.minimum(np.array(self.log_detectors), 700.0)).mean())

    @property
    def drifted(self) -> bool:
        """Whether the alarm is raised."""
        return self.evidence >= self.mean_values_between_false_alarms

    def update(self, value: float) -> MeanShiftDetector:
        """Return the state after one more value.

        Raises:
            ValueError: value outside [0, 1].

        Source: Shin, Ramdas and Rinaldo 2023 (e-detectors); Waudby-Smith and Ramdas 2023 (betting).
        """
        x = check.share("value", value)
        logs = self.log_detectors or (-math.inf,) * (len(_BETS) * (2 if self.direction == "both" else 1))
        # SR recursion: new = (old + 1) * growth, in logs.
        grown = tuple(
            float(np.logaddexp(old, 0.0)) + growth for old, growth in zip(logs, self._log_growth(x), strict=True)
        )
        return replace(self, log_detectors=grown, seen=self.seen + 1)

    def _log_growth(self, x: float) -> tuple[float, ...]:
        m = self.reference_mean
        up = tuple(math.log1p(bet * (x - m) / m) for bet in _BETS)
        down = tuple(math.log1p(bet * (m - x) / (1.0 - m)) for bet in _BETS)
        return {"up": up, "down": down, "both": up + down}[self.direction]
