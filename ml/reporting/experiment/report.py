"""The report of an experiment as one file: Markdown with intervals in characters, or HTML with its charts inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ml.reporting.experiment import tables
from ml.reporting.experiment.axes import evenly
from ml.reporting.experiment.charts import effect_chart, traffic_chart
from ml.reporting.experiment.markup import Markup, document, tag
from ml.reporting.experiment.results import ExperimentResults, PointView
from ml.reporting.experiment.style import REPORT_STYLE
from ml.reporting.experiment.words import (
    duration,
    moment,
    number,
    percent,
    sample_ratio_sentence,
    state_sentence,
    traffic,
)

_PLOT_WIDTH: Final = 57
_PLOT_ROWS: Final = 12


def markdown_report(results: ExperimentResults, now: float) -> str:
    """Return the report as Markdown."""
    lines = [f"# Experiment {results.name}", "", f"**{state_sentence(results, now)}**", ""]
    lines += [f"- {name}: {text}" for name, text in _facts(results)]
    lines += ["", "## Health", "", f"- Sample ratio: {sample_ratio_sentence(results)}"]
    for title, data in _tables(results):
        lines += ["", f"## {title}", "", *_markdown_table(data)]
    for arm in results.treatments:
        plot = _interval_lines(results, arm)
        if plot:
            lines += ["", f"## {results.primary.metric}: {arm} against {results.control}", "", "```", *plot, "```"]
    lines += ["", "## Methods", "", *(f"- {text}" for text in _methods(results))]
    return "\n".join(lines) + "\n"


def html_report(results: ExperimentResults, now: float) -> str:
    """Return the report as one HTML file that loads nothing."""
    until = results.ended_at or max(now, results.looked_at or 0.0)
    content: list[Markup] = [
        tag("h1", f"Experiment {results.name}"),
        tag("p", state_sentence(results, now), class_="sentence"),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", text)) for name, text in _facts(results)), class_="facts"),
    ]
    for arm in results.treatments:
        content += [
            tag("h2", f"{results.primary.metric}: {arm} against {results.control}"),
            tag("figure", effect_chart(results, arm), tag("figcaption", _CHART_WORDS)),
        ]
    shares = f"Share of the requests, from below: {', '.join((results.control, *results.treatments))}."
    content += [
        tag("h2", "Traffic"),
        tag("figure", traffic_chart(results, until), tag("figcaption", shares)),
        tag("h2", "Health"),
        tag("p", f"Sample ratio: {sample_ratio_sentence(results)}"),
    ]
    for title, data in _tables(results):
        content += [tag("h2", title), _html_table(title, data)]
    content += [tag("h2", "Methods"), tag("ul", *(tag("li", text) for text in _methods(results)))]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"Experiment {results.name}"),
        tag("style", REPORT_STYLE),
    )
    return document(tag("html", head, tag("body", tag("main", *content)), lang="en"))


_CHART_WORDS: Final = (
    "Line: estimate. Band: interval, valid at every look. Dashed: estimate needed for promotion. "
    "Dotted: smallest effect worth finding."
)


def _facts(results: ExperimentResults) -> list[tuple[str, str]]:
    primary = results.primary
    share = results.fraction
    length = "no limit" if results.duration_seconds is None else duration(results.duration_seconds)
    return [
        ("Model", results.model),
        ("Question", f"does {primary.metric} {primary.better} by {number(primary.minimum_effect)} or more?"),
        ("Planned", f"{primary.planned_per_arm:,} units per arm, at most {length}, {results.mode}"),
        ("Sample", "nothing counted yet" if share is None else f"{percent(share)} of the plan"),
        ("Traffic", traffic(results.weights)),
        ("Started", moment(results.started_at)),
        ("Ended", moment(results.ended_at)),
        ("Newest decision", moment(results.looked_at)),
        ("Asked for by", results.by or "unknown"),
    ]


def _tables(results: ExperimentResults) -> list[tuple[str, tables.Table]]:
    found = [
        (f"Differences to {results.control}", tables.comparisons(results)),
        ("Guardrails", tables.guardrails(results)),
        ("Values per arm", tables.values(results)),
    ]
    return [(title, data) for title, data in found if data.rows]


def _methods(results: ExperimentResults) -> list[str]:
    named = list(dict.fromkeys(f"{item.metric} ({item.role}): {item.method}" for item in results.evidence))
    return [
        *named,
        "Effects are stratified by epoch: a change of weights starts a new one, so that a ramp cannot bias them.",
        "Values per arm are pooled over epochs and are no comparison.",
        f"Every decision can be derived again: `mlp experiment replay {results.name}`.",
    ]


def _markdown_table(data: tables.Table) -> list[str]:
    rule = ["---:" if index in data.numeric else "---" for index in range(len(data.columns))]
    rows = [data.columns, rule, *([cell.replace("|", "\\|") for cell in row] for row in data.rows)]
    return [f"| {' | '.join(row)} |" for row in rows]


def _html_table(caption: str, data: tables.Table) -> Markup:
    def cells(kind: str, row: Sequence[str]) -> Markup:
        numeric = ("number" if index in data.numeric else None for index in range(len(row)))
        return tag("tr", *(tag(kind, cell, class_=name) for cell, name in zip(row, numeric, strict=True)))

    body = tag("tbody", *(cells("td", row) for row in data.rows))
    table = tag("table", tag("caption", caption), tag("thead", cells("th", data.columns)), body)
    return tag("div", table, class_="scroll")


def _interval_lines(results: ExperimentResults, arm: str) -> list[str]:
    """Return intervals over time, one line per look, newest last."""
    known = [p for p in results.timeline if p.arm == arm and p.estimate is not None and p.low is not None]
    points = [known[index] for index in evenly(range(len(known)), _PLOT_ROWS)]
    if not points:
        return []
    half = known[len(known) // 2 :]  # the first intervals are so wide that the newest would be a dot
    low = min(0.0, *(p.low or 0.0 for p in half))
    high = max(0.0, *(p.high or 0.0 for p in half))
    start = results.started_at if results.started_at is not None else points[0].at
    lines = [_interval_line(point, low, high, f"{duration(point.at - start):>12}") for point in points]
    half_width = _PLOT_WIDTH // 2
    ends = f"{number(low, signed=True):<{half_width}}{number(high, signed=True):>{half_width + 1}}"
    return [*lines, f"{'':>12}  {ends}"]


def _interval_line(point: PointView, low: float, high: float, label: str) -> str:
    def place(value: float) -> int:
        return max(0, min(_PLOT_WIDTH - 1, round((value - low) / ((high - low) or 1.0) * (_PLOT_WIDTH - 1))))

    row = [" "] * _PLOT_WIDTH
    row[place(0.0)] = ":"
    for index in range(place(point.low or 0.0), place(point.high or 0.0) + 1):
        row[index] = "-"
    if point.needed is not None and low <= point.needed <= high:
        row[place(point.needed)] = "|"
    row[place(point.estimate or 0.0)] = "o"
    return f"{label}  {''.join(row)}  {number(point.estimate, signed=True)}"
