"""The interval of the primary metric over time, drawn in characters."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Final

from ml.reporting.experiment.results import ExperimentResults

_HEIGHT: Final = 16
_WIDEST: Final = 100
_NARROWEST: Final = 40
_HOUR_SECONDS: Final = 3600.0
_VISIBLE_TIMES_NEWEST: Final = 4.0
"""Intervals of the first looks are left out while they are so many times wider than the newest one."""


def effect_plot(results: ExperimentResults, arm: str, width: int) -> str:
    """Return the plot of one treatment; empty before there is anything to draw."""
    points = [point for point in results.timeline if point.arm == arm and point.estimate is not None]
    looks = [(p.at, p.low, p.high, p.needed) for p in points if p.low is not None and p.high is not None]
    if not points:
        return ""
    if looks:
        limit = _VISIBLE_TIMES_NEWEST * (looks[-1][2] - looks[-1][1])
        looks = [look for look in looks if look[2] - look[1] <= limit]
        points = [point for point in points if point.at >= looks[0][0]]
    start = results.started_at if results.started_at is not None else points[0].at
    plotext: Any = importlib.import_module("plotext")  # without types; one figure per process, so it is cleared first
    figure = plotext.figure.clear()
    figure.plot_size(max(_NARROWEST, min(width, _WIDEST)), _HEIGHT)

    def draw(values: Sequence[tuple[float, float]], marker: str, label: str) -> None:
        hours = [(at - start) / _HOUR_SECONDS for at, _ in values]
        signal = figure.signal(hours, [value for _, value in values], marker=marker)
        figure.draw(signal.label(label) if label else signal)

    figure.line(0.0)
    if looks:
        draw([(at, high) for at, _, high, _ in looks], ".", "interval")
        draw([(at, low) for at, low, _, _ in looks], ".", "")
        draw([(at, needed) for at, _, _, needed in looks if needed is not None], "=", "needed for promotion")
    draw([(point.at, point.estimate or 0.0) for point in points], "o", "estimate")
    figure.title(f"{results.primary.metric}: {arm} minus {results.control}")
    figure.label("hours since the start")
    # The terminal's own colors: nobody knows here whether it is dark or light.
    return str(plotext.uncolorize(str(figure.build()))).rstrip("\n")
