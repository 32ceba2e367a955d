"""How well predictions fit, in numpy and with no opinion on what is good enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def accuracy(truth: Labels, predicted: Labels) -> float:
    """Return the share of labels that were predicted exactly."""
    return float((truth == predicted).mean())


def macro_f1(truth: Labels, predicted: Labels, *, classes: int) -> float:
    """Return the mean of the classes' F1 scores, so that small classes count as much as large ones.

    A class that neither occurs nor is predicted counts as 0, as there is no evidence that it is recognised.
    """
    scores: list[float] = []
    for label in range(classes):
        hits = int(np.sum((truth == label) & (predicted == label)))
        mentions = int(np.sum(truth == label)) + int(np.sum(predicted == label))
        scores.append(2.0 * hits / mentions if mentions else 0.0)
    return float(np.mean(scores))


def mean_absolute_error(truth: Floats, predicted: Floats) -> float:
    """Return the mean distance between prediction and truth."""
    return float(np.mean(np.abs(truth - predicted)))


def spearman(truth: Floats, predicted: Floats) -> float:
    """Return the rank correlation, ties sharing their mean rank; 0 where one side does not vary."""
    truth_ranks, predicted_ranks = _mean_ranks(truth), _mean_ranks(predicted)
    if np.ptp(truth_ranks) == 0 or np.ptp(predicted_ranks) == 0:
        return 0.0
    return float(np.corrcoef(truth_ranks, predicted_ranks)[0, 1])


def _mean_ranks(values: Floats) -> Floats:
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last_ranks = np.cumsum(sizes)
    mean_ranks = last_ranks - (sizes - 1) / 2.0
    return mean_ranks[group].astype(np.float64)
