"""What the history knows of each metric, laid out once per decision as arrays over epochs."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import Final

import numpy as np

from ml.experiments.evidence import NOTHING, Contrast, contrast, single
from ml.experiments.history import History
from ml.experiments.validation import BoolArray, FloatArray

_COLUMNS: Final = attrgetter("n", "numerator", "denominator", "numerator_squares", "denominator_squares", "products")
_WIDTH: Final = 6


@dataclass(frozen=True)
class _Series:
    """Sums of one metric in one arm: a row per epoch, and whether the epoch knows them."""

    rows: FloatArray
    known: BoolArray


@dataclass(frozen=True)
class Measurements:
    """The history's sums by metric and arm; rows are gathered when first asked for."""

    history: History
    _series: dict[tuple[str, str], _Series] = field(default_factory=dict[tuple[str, str], _Series])

    def knows(self, metric: str, arm: str) -> bool:
        """Tell whether any epoch knows the metric for the arm."""
        return any(arm in epoch.metrics.get(metric, ()) for epoch in self.history.epochs)

    def units(self, metric: str, arm: str) -> float:
        """Return how many units of the arm the metric was reported for."""
        return float(self._rows(metric, arm).rows[:, 0].sum())

    def mean(self, metric: str, arm: str) -> float:
        """Return the arm's value over all epochs that know it; 0 when none does."""
        rows = self._rows(metric, arm).rows
        denominator = float(rows[:, 2].sum())
        return float(rows[:, 1].sum()) / denominator if denominator > 0.0 else 0.0

    def effect(self, metric: str, control: str, arm: str, factor: float = 1.0) -> Contrast:
        """Return treatment - factor * control over all epochs that know both arms."""
        c, t = self._rows(metric, control), self._rows(metric, arm)
        both = c.known & t.known
        if not both.any():
            return NOTHING
        inflation = self.history.variance_inflation.get(metric, 1.0)
        return contrast(c.rows[both], t.rows[both], control_factor=factor, variance_inflation=inflation)

    def own_value(self, metric: str, arm: str, *, limit: float, harmful_increase: bool) -> Contrast:
        """Return the treatment's own value over all epochs that know it, for a comparison with a limit."""
        series = self._rows(metric, arm)
        if not series.known.any():
            return NOTHING
        inflation = self.history.variance_inflation.get(metric, 1.0)
        rows = series.rows[series.known]
        return single(rows, limit=limit, harmful_increase=harmful_increase, variance_inflation=inflation)

    def events(self, metric: str, control: str, arm: str) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return rows of control and treatment, and treatment's share of both weights, per usable epoch."""
        c, t = self._rows(metric, control), self._rows(metric, arm)
        weights = np.array([(e.weights[control], e.weights[arm]) for e in self.history.epochs], dtype=np.float64)
        usable = c.known & t.known & (weights > 0).all(axis=1)
        weights = weights[usable]
        return c.rows[usable], t.rows[usable], weights[:, 1] / weights.sum(axis=1)

    def _rows(self, metric: str, arm: str) -> _Series:
        found = self._series.get((metric, arm))
        if found is None:
            sums = [epoch.metrics.get(metric, {}).get(arm) for epoch in self.history.epochs]
            flat = chain.from_iterable((0.0,) * _WIDTH if item is None else _COLUMNS(item) for item in sums)
            rows = np.fromiter(flat, dtype=np.float64, count=_WIDTH * len(sums)).reshape(-1, _WIDTH)
            found = _Series(rows, np.array([item is not None for item in sums], dtype=np.bool_))
            self._series[metric, arm] = found
        return found
