"""Rates of rare events (errors), exact at every count and under every ramp: the small-count guardrail.

Given that an event happened, it happened in treatment with chance w r / (1 - w + w r), where w is treatment's
weight and r the ratio of the two rates, whatever the rates are and however they drift. Testing r needs no
normal approximation, no baseline and no pooling over epochs. It needs assignment at random by the
weights (checked by `srm`) and events that come one by one; requests of one user that fail together must be
counted once per user.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import optimize

from ml.experiments import validation as check
from ml.experiments.tilts import log_tilt_ratio

RATE_TILTS: Final = tuple(0.05 * 2.0 ** (k / 2.0) for k in range(14))
"""Log rate ratios above the margin that the test looks out for: from +5 % to a factor of about 90."""

_TILTS: Final[check.FloatArray] = np.array(RATE_TILTS)
_WIDEST: Final = 20.0
"""Log rate ratios beyond this are as good as infinite."""


@dataclass(frozen=True)
class EventCounts:
    """Events of one epoch: treatment's weight against control (0 to 1), events in either arm."""

    treatment_weight: float
    control_events: float
    treatment_events: float


@dataclass(frozen=True)
class RateTest:
    """Always-valid one-sided test of the ratio of two event rates.

    Attributes:
        rate_ratio: Mantel-Haenszel estimate of treatment over control; infinite when control has no event.
        p_value: always-valid, of "ratio <= margin_ratio".
        log_evidence: log of the evidence for a larger ratio.
        lower_bound: of the ratio, at all times at once, level 1 - alpha.
    """

    rate_ratio: float
    p_value: float
    log_evidence: float
    lower_bound: float


def sequential_rate_test(epochs: Sequence[EventCounts], *, margin_ratio: float = 1.0, alpha: float = 0.05) -> RateTest:
    """Test at every look whether treatment's event rate exceeds margin_ratio times control's.

    Args:
        epochs: event counts per epoch of constant weights.
        margin_ratio: the ratio of rates that is still accepted, at least 1 for a guardrail.
        alpha: level of the lower bound.

    Raises:
        ValueError: no epoch, counts that are no whole numbers, a weight outside (0, 1) where there are events,
            or another argument out of range.

    Source: conditional binomial test of two Poisson rates (Przyborowski and Wilenski 1940), made sequential by
        the method of mixtures; see Lindon and Malek 2022.
    """
    margin = check.positive("margin_ratio", margin_ratio)
    level = check.probability("alpha", alpha)
    if not epochs:
        raise ValueError("epochs=[]: allowed is at least one epoch")
    used: list[EventCounts] = []
    for index, epoch in enumerate(epochs):
        c = check.whole(f"epochs[{index}].control_events", epoch.control_events)
        t = check.whole(f"epochs[{index}].treatment_events", epoch.treatment_events)
        if c + t > 0:
            w = check.probability(f"epochs[{index}].treatment_weight", epoch.treatment_weight)
            used.append(EventCounts(w, c, t))
    if not used:
        return RateTest(1.0, 1.0, 0.0, 0.0)
    counts = _Counts(
        treatment=np.array([e.treatment_events for e in used], dtype=np.float64),
        both=np.array([e.treatment_events + e.control_events for e in used], dtype=np.float64),
        weight=np.array([e.treatment_weight for e in used]),
    )
    evidence = counts.log_evidence(math.log(margin))
    return RateTest(
        rate_ratio=_mantel_haenszel_ratio(used),
        p_value=min(1.0, math.exp(-max(0.0, evidence))),
        log_evidence=evidence,
        lower_bound=_lower_bound(counts, -math.log(level)),
    )


@dataclass(frozen=True)
class _Counts:
    """Events per epoch as arrays."""

    treatment: check.FloatArray
    both: check.FloatArray
    weight: check.FloatArray

    def log_evidence(self, null_tilt: float) -> float:
        """Log of the average likelihood ratio over tilts above the null tilt."""
        ratio = log_tilt_ratio(self.treatment, self.both, self.weight, null_tilt + _TILTS, null_tilt)
        largest = float(ratio.max())
        return largest + math.log(float(np.exp(ratio - largest).mean()))


def _mantel_haenszel_ratio(epochs: Sequence[EventCounts]) -> float:
    above = sum(e.treatment_events * (1.0 - e.treatment_weight) for e in epochs)
    below = sum(e.control_events * e.treatment_weight for e in epochs)
    return above / below if below > 0.0 else math.inf


def _lower_bound(counts: _Counts, log_threshold: float) -> float:
    """The smallest ratio that the evidence does not refute; evidence falls as the null ratio grows."""
    low, high = -_WIDEST, _WIDEST
    if counts.log_evidence(low) < log_threshold:
        return 0.0
    if counts.log_evidence(high) >= log_threshold:
        return math.exp(high)
    return math.exp(
        float(optimize.brentq(lambda tilt: counts.log_evidence(tilt) - log_threshold, low, high, xtol=1e-9))
    )
