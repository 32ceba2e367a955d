"""Many tests at once: Bonferroni, Holm, Benjamini-Hochberg and a weighted graph of hypotheses.

Family-wise methods (Bonferroni, Holm, graph) bound the chance of any false claim and are for decisions;
Benjamini-Hochberg bounds the expected share of false claims and is for exploration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ml.experiments import validation as check


@dataclass(frozen=True)
class Adjusted:
    """Adjusted p-values and the verdicts, in the order of the input."""

    p_values: tuple[float, ...]
    rejected: tuple[bool, ...]

    @property
    def count(self) -> int:
        """Number of rejected hypotheses."""
        return sum(self.rejected)


def _p_values(p_values: check.Numbers) -> check.FloatArray:
    p = check.vector("p_values", p_values)
    if bool(np.any((p < 0) | (p > 1))):
        raise ValueError(f"p_values={p.tolist()}: allowed are numbers from 0 to 1")
    return p


def _adjusted(adjusted: check.FloatArray, alpha: float) -> Adjusted:
    check.probability("alpha", alpha)
    return Adjusted(tuple(float(p) for p in adjusted), tuple(bool(p <= alpha) for p in adjusted))


def bonferroni(p_values: check.Numbers, *, alpha: float = 0.05) -> Adjusted:
    """Multiply each p-value by the number of tests; valid under any dependence.

    Raises:
        ValueError: a p-value outside [0, 1] or alpha outside (0, 1).
    """
    p = _p_values(p_values)
    return _adjusted(np.minimum(1.0, p * p.size), alpha)


def holm(p_values: check.Numbers, *, alpha: float = 0.05) -> Adjusted:
    """Step down from the smallest p-value; never weaker than Bonferroni, valid under any dependence.

    Raises:
        ValueError: a p-value outside [0, 1] or alpha outside (0, 1).

    Source: Holm 1979.
    """
    p = _p_values(p_values)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * (p.size - np.arange(p.size)))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, steps)
    return _adjusted(adjusted, alpha)


def benjamini_hochberg(p_values: check.Numbers, *, alpha: float = 0.05) -> Adjusted:
    """Step up from the largest p-value; bounds the false discovery rate for independent or positive tests.

    Raises:
        ValueError: a p-value outside [0, 1] or alpha outside (0, 1).

    Source: Benjamini and Hochberg 1995.
    """
    p = _p_values(p_values)
    order = np.argsort(p, kind="stable")[::-1]
    steps = np.minimum.accumulate(p[order] * p.size / np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, steps)
    return _adjusted(adjusted, alpha)


@dataclass(frozen=True)
class HypothesisGraph:
    """Shares of alpha per hypothesis and how a rejected one passes its share on.

    Attributes:
        weights: share of alpha that each hypothesis starts with; sums to at most 1.
        transfers: for each hypothesis, the fraction of its share that goes to each other one when it is
            rejected; sums to at most 1 per hypothesis.
    """

    weights: Mapping[str, float]
    transfers: Mapping[str, Mapping[str, float]]

    def __post_init__(self) -> None:
        total = sum(check.share(f"weights[{name}]", weight) for name, weight in self.weights.items())
        if not self.weights or total > 1.0 + 1e-9:
            raise ValueError(f"weights sum to {total}: allowed is one weight or more, with a sum of at most 1")
        for source, targets in self.transfers.items():
            passed = sum(check.share(f"transfers[{source}][{name}]", part) for name, part in targets.items())
            unknown = ({source} | set(targets)) - set(self.weights)
            if unknown:
                raise ValueError(f"transfers name {sorted(unknown)}: allowed are {sorted(self.weights)}")
            if passed > 1.0 + 1e-9 or source in targets:
                raise ValueError(
                    f"transfers[{source}]={dict(targets)}: allowed are other hypotheses with a sum of at most 1"
                )


def gatekeeper_graph(primary: str, secondary: tuple[str, ...], *, passed_on: float = 1.0) -> HypothesisGraph:
    """Return the graph that tests secondary metrics only after the primary, then each other as in Holm.

    Args:
        primary: starts with all of alpha.
        secondary: share what the primary passes on, equally, and hand it round among themselves.
        passed_on: fraction of alpha that the primary passes on.

    Raises:
        ValueError: names repeat or passed_on outside [0, 1].
    """
    names = (primary, *secondary)
    if len(set(names)) != len(names):
        raise ValueError(f"secondary={secondary}: allowed are names that differ from each other and the primary")
    check.share("passed_on", passed_on)
    weights = {name: 1.0 if name == primary else 0.0 for name in names}
    transfers: dict[str, dict[str, float]] = {}
    if secondary:
        transfers[primary] = dict.fromkeys(secondary, passed_on / len(secondary))
    for name in secondary:
        others = [other for other in secondary if other != name]
        if others:
            transfers[name] = dict.fromkeys(others, 1.0 / len(others))
    return HypothesisGraph(weights, transfers)


def graphical_test(graph: HypothesisGraph, p_values: Mapping[str, float], *, alpha: float = 0.05) -> Mapping[str, bool]:
    """Test hypotheses along a weighted graph; the family-wise error stays within alpha under any dependence.

    Args:
        graph: shares of alpha and transfers.
        p_values: one per hypothesis of the graph.
        alpha: of the whole family.

    Returns:
        For each hypothesis, whether it is rejected.

    Raises:
        ValueError: names differ from the graph's, a p-value outside [0, 1], alpha outside (0, 1).

    Source: Bretz, Maurer, Brannath and Posch 2009, algorithm 1.
    """
    check.probability("alpha", alpha)
    if set(p_values) != set(graph.weights):
        raise ValueError(f"p_values name {sorted(p_values)}: allowed are {sorted(graph.weights)}")
    p = {name: check.share(f"p_values[{name}]", value) for name, value in p_values.items()}
    weight = dict(graph.weights)
    transfer = {a: {b: graph.transfers.get(a, {}).get(b, 0.0) for b in weight} for a in weight}
    rejected: dict[str, bool] = dict.fromkeys(weight, False)
    while True:
        open_names = [name for name in weight if weight[name] > 0 and p[name] <= weight[name] * alpha]
        if not open_names:
            return rejected
        gone = open_names[0]
        rejected[gone] = True
        weight, transfer = _without(gone, weight, transfer)


def _without(
    gone: str, weight: dict[str, float], transfer: dict[str, dict[str, float]]
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Remove a rejected hypothesis: pass its share on and connect its neighbours (update rule of the paper)."""
    rest = [name for name in weight if name != gone]
    new_weight = {name: weight[name] + weight[gone] * transfer[gone][name] for name in rest}
    new_transfer: dict[str, dict[str, float]] = {}
    for a in rest:
        loop = transfer[a][gone] * transfer[gone][a]
        new_transfer[a] = {
            b: 0.0 if a == b or loop >= 1.0 else (transfer[a][b] + transfer[a][gone] * transfer[gone][b]) / (1.0 - loop)
            for b in rest
        }
    return new_weight, new_transfer
