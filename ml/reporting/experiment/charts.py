"""The charts of an experiment as SVG: no scripts, and a title and a description for those who cannot see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ml.reporting.experiment.axes import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Scale,
    horizontal,
    ticks,
    time_ticks,
    vertical,
)
from ml.reporting.experiment.markup import Child, Markup, tag
from ml.reporting.experiment.results import ExperimentResults, PointView
from ml.reporting.experiment.words import duration, number, traffic, weight

_EFFECT_HEIGHT: Final = 300.0
_TRAFFIC_HEIGHT: Final = 190.0
_WIDEST: Final = 4.0
"""Intervals of the first looks are very wide; those wider than so many times the newest one do not set the scale."""


def effect_chart(results: ExperimentResults, arm: str) -> Markup:
    """Return the primary metric of one treatment over time: estimate, interval, and what promotion needs."""
    points = [point for point in results.timeline if point.arm == arm and point.estimate is not None]
    if not points:
        return tag("p", "Nothing to draw yet: no comparison has been made.", class_="empty")
    start = results.started_at if results.started_at is not None else points[0].at
    xs = horizontal(start, max(points[-1].at, start))
    low, high = _range(results, points)
    ys = vertical(low, high, _EFFECT_HEIGHT)
    clip = f"clip-{arm}"
    sign = 1.0 if results.primary.better == "increase" else -1.0
    aim = sign * results.primary.minimum_effect
    area = tag(
        "clipPath",
        tag("rect", x=LEFT, y=TOP, width=WIDTH - LEFT - RIGHT, height=_EFFECT_HEIGHT - TOP - BOTTOM),
        id=clip,
    )
    bounded = [point for point in points if point.low is not None and point.high is not None]
    needed = [(point.at, point.needed) for point in points if point.needed is not None]
    inside = tag(
        "g",
        _band(bounded, xs, ys),
        tag("path", d=_line([(point.at, point.estimate or 0.0) for point in points], xs, ys), class_="estimate"),
        tag("path", d=_line(needed, xs, ys), class_="needed") if needed else None,
        clip_path=f"url(#{clip})",
    )
    newest = points[-1]
    return _svg(
        _EFFECT_HEIGHT,
        f"effect-{arm}",
        f"Difference of {results.primary.metric}, {arm} minus {results.control}, over time",
        _effect_description(results, newest, needed[-1][1] if needed else None),
        tag("defs", area),
        *_grid(xs, ys, start, _EFFECT_HEIGHT, [(value, number(value, signed=True)) for value in ticks(low, high)]),
        _level(ys, 0.0, "zero"),
        _level(ys, aim, "aim"),
        inside,
        tag("circle", cx=xs(newest.at), cy=ys(newest.estimate or 0.0), r=4, class_="newest"),
    )


def traffic_chart(results: ExperimentResults, until: float) -> Markup:
    """Return how the requests were shared out over time: one band per arm, control at the bottom."""
    changes = [change for change in results.traffic if change.at <= until]
    if not changes:
        return tag("p", "Nothing to draw yet: no weights of this experiment have been in force.", class_="empty")
    start = changes[0].at
    xs, ys = horizontal(start, max(until, start)), vertical(0.0, 1000.0, _TRAFFIC_HEIGHT)
    moments = [*(change.at for change in changes), max(until, start)]
    bands: list[Markup] = []
    floor = [0] * len(changes)
    for index, arm in enumerate((results.control, *results.treatments)):
        top = [base + change.weights.get(arm, 0) for base, change in zip(floor, changes, strict=True)]
        path = _steps(moments, top, floor, xs, ys)
        bands.append(tag("path", tag("title", arm), d=path, class_=f"arm arm-{index}"))
        floor = top
    rows = [(value, weight(int(value))) for value in (0.0, 250.0, 500.0, 750.0, 1000.0)]
    return _svg(
        _TRAFFIC_HEIGHT,
        "traffic",
        "Share of the requests per arm over time",
        f"{len(changes)} changes of weights. Now: {traffic(changes[-1].weights)}.",
        *bands,
        *_grid(xs, ys, start, _TRAFFIC_HEIGHT, rows),
    )


def _effect_description(results: ExperimentResults, newest: PointView, needed: float | None) -> str:
    text = f"Newest estimate {number(newest.estimate, signed=True)}"
    if newest.low is not None and newest.high is not None:
        text += f", interval {number(newest.low, signed=True)} to {number(newest.high, signed=True)}"
    if needed is not None:
        side = "at least" if results.primary.better == "increase" else "at most"
        text += f"; promotion needs {side} {number(needed, signed=True)}"
    since = results.started_at if results.started_at is not None else newest.at
    return f"{text}. {duration(newest.at - since)} after the start."


def _range(results: ExperimentResults, points: Sequence[PointView]) -> tuple[float, float]:
    """Return the range of the value axis: all that matters now, and as much of the past as fits."""
    sign = 1.0 if results.primary.better == "increase" else -1.0
    values = [0.0, sign * results.primary.minimum_effect]
    widths = [point.high - point.low for point in points if point.low is not None and point.high is not None]
    limit = _WIDEST * widths[-1] if widths else float("inf")
    values += [point.estimate for point in points[len(points) // 4 :] if point.estimate is not None]
    for point in points:
        if point.low is not None and point.high is not None and point.high - point.low <= limit:
            values += [point.low, point.high]
            if point.needed is not None:
                values.append(point.needed)
    low, high = min(values), max(values)
    room = 0.06 * ((high - low) or 1.0)
    return low - room, high + room


def _svg(height: float, name: str, title: str, description: str, *children: Child) -> Markup:
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewbox=f"0 0 {WIDTH:g} {height:g}",
        role="img",
        aria_labelledby=f"{name}-title",
        aria_describedby=f"{name}-desc",
        class_="chart",
    )


def _grid(xs: Scale, ys: Scale, start: float, height: float, rows: Sequence[tuple[float, str]]) -> list[Markup]:
    """Return grid lines with labels, hidden from screen readers, which have the description and the table."""
    found: list[Child] = []
    for value, label in rows:
        y = ys(value)
        found.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        found.append(tag("text", label, x=LEFT - 8, y=y + 4, text_anchor="end"))
    for seconds, label in time_ticks(xs.high - start):
        x = xs(start + seconds)
        found.append(tag("line", x1=x, x2=x, y1=height - BOTTOM, y2=height - BOTTOM + 5, class_="tick"))
        found.append(tag("text", label, x=x, y=height - BOTTOM + 20, text_anchor="middle"))
    base = height - BOTTOM
    found.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=base, y2=base, class_="tick"))
    return [tag("g", *found, aria_hidden="true")]


def _level(ys: Scale, value: float, kind: str) -> Markup:
    y = ys(value)
    return tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_=kind)


def _line(points: Sequence[tuple[float, float]], xs: Scale, ys: Scale) -> str:
    return " ".join(f"{'L' if k else 'M'}{xs(at):g} {ys(value):g}" for k, (at, value) in enumerate(points))


def _band(points: Sequence[PointView], xs: Scale, ys: Scale) -> Markup | None:
    if not points:
        return None
    if len(points) == 1:
        x = xs(points[0].at)
        return tag(
            "line", x1=x, x2=x, y1=ys(points[0].low or 0.0), y2=ys(points[0].high or 0.0), class_="interval single"
        )
    upper = [f"{xs(point.at):g} {ys(point.high or 0.0):g}" for point in points]
    lower = [f"{xs(point.at):g} {ys(point.low or 0.0):g}" for point in reversed(points)]
    return tag("path", d=f"M{' L'.join([*upper, *lower])} Z", class_="interval")


def _steps(moments: Sequence[float], top: Sequence[int], floor: Sequence[int], xs: Scale, ys: Scale) -> str:
    forward: list[str] = []
    back: list[str] = []
    for k, (upper, lower) in enumerate(zip(top, floor, strict=True)):
        begin, end = xs(moments[k]), xs(moments[k + 1])
        forward += [f"{begin:g} {ys(upper):g}", f"{end:g} {ys(upper):g}"]
        back += [f"{begin:g} {ys(lower):g}", f"{end:g} {ys(lower):g}"]
    return f"M{' L'.join([*forward, *reversed(back)])} Z"
