"""Exact efficiency of the two modes at 120 looks, against the fixed-sample test (no simulation needed)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.simulate.report import Line
from ml.experiments.boundaries import Sides, naive_peeking_error, spending_boundaries
from ml.experiments.characteristics import efficiency
from ml.experiments.mixtures import best_rho, mixture_z_boundary

LOOKS = 120


def lines() -> Iterator[Line]:
    """Yield maximum and expected sizes of both modes, and the cost of naive peeking."""
    times = np.arange(1, LOOKS + 1) / LOOKS
    planned = efficiency(times, [look.boundary for look in spending_boundaries(times)])
    yield Line(
        "planned mode, 120 looks: maximum size over fixed", planned.inflation, 0.0, "<= 1.06", planned.inflation <= 1.06
    )
    expected = planned.expected_under_alternative
    yield Line("planned mode, 120 looks: expected size over fixed", expected, 0.0, "<= 0.78", expected <= 0.78)
    cases: tuple[tuple[Sides, float], ...] = ((2, 0.05), (1, 0.025))
    for sides, alpha in cases:
        rho = best_rho(1.0, alpha, sides=sides)
        bounds = [mixture_z_boundary(t, rho=rho, alpha=alpha, sides=sides) for t in times.tolist()]
        open_ended = efficiency(times, bounds, alpha=alpha, sides=sides)
        yield Line(
            f"open-ended mode, 120 looks, {sides}-sided: maximum size over fixed",
            open_ended.inflation,
            0.0,
            "<= 1.70",
            open_ended.inflation <= 1.70,
        )
    for looks, known in ((120, 0.39), (2_880, 0.59)):
        error = naive_peeking_error(looks)
        yield Line(
            f"naive peeking, {looks} looks: real error", error, 0.0, f"about {known}", abs(error - known) <= 5e-3
        )
