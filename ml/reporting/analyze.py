"""The analysis of a finished experiment from one file: health first, then each metric, then all together.

The fixed-horizon methods used here are right when the end was set beforehand. The file does not say so;
the report does, and shows beside each interval the one that holds at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ml.experiments.multiplicity import holm
from ml.experiments.proportions import ChiSquare
from ml.experiments.srm import sample_ratio_test
from ml.reporting.findings import Finding, adjusted, average, quantile, yes_no
from ml.reporting.reading import Table


class UnusableTableError(ValueError):
    """The file lacks what was asked for; the message names it and what there is."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What to analyse.

    Attributes:
        arm: column that names the arm.
        control: value of that column; empty takes "control", else the first in alphabetical order.
        metrics: columns; empty takes all numeric ones that are not used otherwise.
        user: column of the user, when a user has several rows.
        epoch: column of the epoch, when weights changed on the way.
        before: covariate column of a metric measured before the experiment, by metric (CUPED).
        quantiles: quantiles to compare besides the mean, for metrics that are not yes-no.
        weights: expected share of each arm; empty takes equal shares.
        alpha: one minus the level of the intervals.
    """

    arm: str = "arm"
    control: str = ""
    metrics: tuple[str, ...] = ()
    user: str = ""
    epoch: str = ""
    before: Mapping[str, str] = field(default_factory=dict[str, str])
    quantiles: tuple[float, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    alpha: float = 0.05


@dataclass(frozen=True)
class Report:
    """Answer of `mlp analyze`."""

    control: str
    units: Mapping[str, int]
    sample_ratio: ChiSquare | None
    findings: tuple[Finding, ...]
    question: Question


def analyze(table: Table, question: Question) -> Report:
    """Analyse a table.

    Raises:
        UnusableTableError: a column or arm that is asked for does not exist, or nothing can be compared.
        ValueError: numbers that no method can use; the message names them.
    """
    codes, arms = _arms(table, question)
    control = _control(arms, question.control)
    metrics = question.metrics or tuple(name for name in table.numbers if name not in _taken(question))
    for name in (*metrics, *question.before.values()):
        if name not in table.numbers:
            raise UnusableTableError(f"column {name!r}: allowed are the numeric columns {sorted(table.numbers)}")
    if not metrics:
        raise UnusableTableError("the file has no numeric column besides arm, user and epoch: nothing to compare")
    users = table.labels[question.user] if question.user else None
    units = _units(codes, users, arms)
    findings: list[Finding] = []
    for metric in metrics:
        for arm in arms:
            if arm != control:
                findings += _compare(table, question, metric, codes, arms.index(control), arms.index(arm), arm)
    corrected = holm([finding.p_value for finding in findings]).p_values
    return Report(
        control=control,
        units=units,
        sample_ratio=_sample_ratio(units, question),
        findings=tuple(replace(finding, adjusted_p_value=p) for finding, p in zip(findings, corrected, strict=True)),
        question=question,
    )


def _taken(question: Question) -> set[str]:
    return {question.arm, question.user, question.epoch, *question.before.values()}


def _arms(table: Table, question: Question) -> tuple[np.ndarray, tuple[str, ...]]:
    for name in (question.arm, question.user, question.epoch):
        if name and name not in table.labels:
            raise UnusableTableError(f"column {name!r}: allowed are {sorted(table.labels)}")
    arms = table.names[question.arm]
    if "" in arms:
        raise UnusableTableError(f"column {question.arm!r} has empty cells: allowed is an arm in every row")
    if not 2 <= len(arms) <= 20:
        raise UnusableTableError(f"column {question.arm!r} names {len(arms)} arms: allowed are 2 to 20")
    return table.labels[question.arm], arms


def _control(arms: Sequence[str], wanted: str) -> str:
    if wanted and wanted not in arms:
        raise UnusableTableError(f"control {wanted!r}: allowed are {list(arms)}")
    return wanted or ("control" if "control" in arms else arms[0])


def _units(codes: np.ndarray, users: np.ndarray | None, arms: Sequence[str]) -> dict[str, int]:
    counted = [
        np.unique(users[codes == k]).size if users is not None else int((codes == k).sum()) for k in range(len(arms))
    ]
    return dict(zip(arms, counted, strict=True))


def _sample_ratio(units: Mapping[str, int], question: Question) -> ChiSquare | None:
    """None under a ramp: counts of several epochs must not be tested against one set of weights."""
    if question.epoch:
        return None
    unknown = set(question.weights) - set(units)
    if question.weights and (unknown or set(units) - set(question.weights)):
        raise UnusableTableError(f"weights name {sorted(question.weights)}: allowed is one for each of {sorted(units)}")
    weights = [question.weights.get(arm, 1.0) for arm in units]
    return sample_ratio_test(list(units.values()), weights)


def _compare(
    table: Table, question: Question, metric: str, codes: np.ndarray, control: int, treatment: int, arm: str
) -> list[Finding]:
    values = table.numbers[metric]
    known = np.isfinite(values)
    rows = known & ((codes == control) | (codes == treatment))
    left_out = int((~known & ((codes == control) | (codes == treatment))).sum())
    note = f"{left_out} rows without a value left out" if left_out else ""
    y, treated = values[rows], (codes[rows] == treatment).astype(np.float64)
    c, t = y[treated == 0], y[treated == 1]
    if min(c.size, t.size) < 2:
        raise UnusableTableError(f"column {metric!r}: allowed are at least 2 values in control and in {arm!r}")
    users = table.labels[question.user][rows].astype(np.float64) if question.user else None
    epochs = table.labels[question.epoch][rows].astype(np.float64) if question.epoch else None
    found = [average(metric, arm, c, t, y, treated, users, epochs, question.alpha, note)]
    if metric in question.before:
        x = table.numbers[question.before[metric]][rows]
        found.append(adjusted(metric, arm, x, y, treated, users, question.alpha, note))
    if question.quantiles and not yes_no(y):
        found += [quantile(metric, arm, q, c, t, treated, users, question.alpha, note) for q in question.quantiles]
    return found
