"""The tables of an experiment as plain cells, for the page, the terminal and the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ml.reporting.experiment.axes import evenly
from ml.reporting.experiment.results import EvidenceView, ExperimentResults
from ml.reporting.experiment.words import ROLES, interval, moment, number, p_value, percent, verdict, weight

_LONGEST: Final = 24
"""Rows of a table that stands for a chart."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells as text; `numeric` names the columns that are aligned to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[int] = ()


def timeline(results: ExperimentResults, arm: str) -> Table:
    """Return the primary metric of an arm over time, newest first."""
    points = [point for point in results.timeline if point.arm == arm]
    rows = [
        [
            moment(points[index].at),
            number(points[index].estimate, signed=True),
            _ends(points[index].low, points[index].high),
            number(points[index].needed, signed=True),
            f"{points[index].n_control:,}",
            f"{points[index].n_treatment:,}",
        ]
        for index in reversed(evenly(range(len(points)), _LONGEST))
    ]
    columns = ("When", "Estimate", "Interval", "Needed for promotion", f"n {results.control}", f"n {arm}")
    return Table(columns=columns, rows=rows, numeric=(1, 2, 3, 4, 5))


def traffic(results: ExperimentResults) -> Table:
    """Return the weights over time, newest first."""
    arms = (results.control, *results.treatments)
    chosen = reversed(evenly(range(len(results.traffic)), _LONGEST))
    rows = [
        [moment(results.traffic[k].at), *(weight(results.traffic[k].weights.get(arm, 0)) for arm in arms)]
        for k in chosen
    ]
    return Table(columns=("In force since", *arms), rows=rows, numeric=tuple(range(1, len(arms) + 1)))


def values(results: ExperimentResults) -> Table:
    """Return units and metric values per arm."""
    metrics = list(dict.fromkeys(metric for arm in results.arms for metric in arm.values))
    rows: list[list[str]] = []
    for arm in results.arms:
        cells = [arm.values.get(metric) for metric in metrics]
        rows.append([arm.arm, f"{arm.units:,}", *(number(cell.value) if cell else "\N{EN DASH}" for cell in cells)])
    return Table(columns=("Arm", "Units", *metrics), rows=rows, numeric=tuple(range(1, len(metrics) + 2)))


def comparisons(results: ExperimentResults) -> Table:
    """Return the primary and secondary metrics of the newest decision."""
    items = results.of_role("primary", "secondary")
    rows = [
        [
            item.metric,
            item.arm,
            ROLES[item.role],
            f"{item.n_control:,} / {item.n_treatment:,}",
            number(item.estimate, signed=True),
            interval(item),
            p_value(item.p_value),
            _sample(item),
            verdict(item),
        ]
        for item in items
    ]
    columns = ("Metric", "Arm", "Role", "n control / arm", "Difference", "Interval", "p", "Sample", "Result")
    return Table(columns=columns, rows=rows, numeric=(3, 4, 5, 6, 7))


def guardrails(results: ExperimentResults) -> Table:
    """Return what must not get worse."""
    rows = [
        [
            item.metric + (" (not worse)" if item.role == "primary harm" else ""),
            item.arm,
            verdict(item),
            number(item.estimate, signed=item.n_control > 0),
            interval(item),
            p_value(item.p_value),
            f"{item.n_treatment:,}",
        ]
        for item in results.of_role("guardrail", "primary harm")
    ]
    columns = ("Metric", "Arm", "Result", "Estimate", "Interval", "p (harm)", "n arm")
    return Table(columns=columns, rows=rows, numeric=(3, 4, 5, 6))


def _sample(item: EvidenceView) -> str:
    return "\N{EN DASH}" if item.information_fraction is None else percent(item.information_fraction)


def _ends(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "\N{EN DASH}"
    return f"{number(low, signed=True)} to {number(high, signed=True)}"
