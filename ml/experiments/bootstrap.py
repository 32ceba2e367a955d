"""The bootstrap: intervals for statistics that have no formula, and exact answers for the mean and median.

Resampling is seeded, so that an analysis can be repeated to the last digit. Resample users, not rows, when
rows of a user resemble each other (`cluster`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from ml.experiments import validation as check
from ml.experiments.results import Interval

Statistic = Callable[[check.FloatArray], float]


@dataclass(frozen=True)
class BootstrapResult:
    """Estimate on the data, standard error over resamples and percentile interval."""

    estimate: float
    standard_error: float
    interval: Interval
    resamples: int


def bootstrap(
    data: check.Numbers,
    statistic: Statistic,
    *,
    cluster: check.Numbers | None = None,
    resamples: int = 2000,
    seed: int = 0,
    alpha: float = 0.05,
) -> BootstrapResult:
    """Bootstrap a statistic of one sample.

    Args:
        data: raw values.
        statistic: maps an array of values to one number, for example np.median.
        cluster: the user of each value; whole users are resampled. None resamples values.
        resamples: at least 100.
        seed: of the random generator; the same seed gives the same answer.
        alpha: one minus the level of the percentile interval.

    Raises:
        ValueError: an argument is out of range or the statistic answers with NaN.

    Source: Efron and Tibshirani 1993; Cameron, Gelbach and Miller 2008 for clusters.
    """
    array = check.vector("data", data, minimum_size=2)
    draws = _resampled(array, statistic, cluster, resamples, seed)
    return _summary(float(statistic(array)), draws, alpha)


def bootstrap_difference(
    control: check.Numbers,
    treatment: check.Numbers,
    statistic: Statistic,
    *,
    control_cluster: check.Numbers | None = None,
    treatment_cluster: check.Numbers | None = None,
    resamples: int = 2000,
    seed: int = 0,
    alpha: float = 0.05,
) -> BootstrapResult:
    """Bootstrap statistic(treatment) - statistic(control), each arm resampled on its own.

    Raises:
        ValueError: as `bootstrap`.
    """
    c = check.vector("control", control, minimum_size=2)
    t = check.vector("treatment", treatment, minimum_size=2)
    control_draws = _resampled(c, statistic, control_cluster, resamples, seed)
    # A seed of its own: with the same one, equal arms would be resampled alike and always agree.
    treatment_draws = _resampled(t, statistic, treatment_cluster, resamples, seed + 1)
    return _summary(float(statistic(t)) - float(statistic(c)), treatment_draws - control_draws, alpha)


def ideal_bootstrap_se_of_mean(data: check.Numbers) -> float:
    """Return the standard error of the mean that infinitely many resamples would give.

    Source: Efron and Tibshirani 1993, equation 5.12.
    """
    array = check.vector("data", data, minimum_size=2)
    return math.sqrt(float(array.var()) / array.size)


def ideal_bootstrap_se_of_median(data: check.Numbers) -> float:
    """Return the standard error of the median that infinitely many resamples would give, exactly.

    The median of a resample of n values is an order statistic (or, for even n, the mean of two) whose
    distribution over the observed values is binomial.

    Raises:
        ValueError: fewer than two values.

    Source: Efron 1982, section 10.3; even n derived in the same way.
    """
    array = np.sort(check.vector("data", data, minimum_size=2))
    n = int(array.size)
    if n % 2:
        points, weights = array, _order_statistic_weights(n, n // 2 + 1)
    else:
        points, weights = _middle_pair_weights(array)
    mean = float(weights @ points)
    return math.sqrt(max(0.0, float(weights @ (points - mean) ** 2)))


def _order_statistic_weights(n: int, rank: int) -> check.FloatArray:
    """P(the rank-th smallest of a resample is the i-th smallest value), for i = 1..n."""
    i = np.arange(n + 1)
    # P(at most rank - 1 draws are among the i smallest) = P(the order statistic lies above value i).
    above = np.where(i == n, 0.0, special.bdtr(rank - 1, n, i / n))
    return above[:-1] - above[1:]


def _middle_pair_weights(array: check.FloatArray) -> tuple[check.FloatArray, check.FloatArray]:
    """All values of the mean of the two middle order statistics of a resample of even size, with weights."""
    n = int(array.size)
    m = n // 2
    i = np.arange(1, n + 1)
    lower = (i / n) ** m - ((i - 1) / n) ** m
    upper = ((n - i + 1) / n) ** m - ((n - i) / n) ** m
    joint = float(special.binom(n, m)) * np.outer(lower, upper)
    joint[np.tril_indices(n)] = 0.0
    np.fill_diagonal(joint, np.maximum(0.0, _order_statistic_weights(n, m) - joint.sum(axis=1)))
    points = (array[:, None] + array[None, :]) / 2
    return points.ravel(), joint.ravel()


def _resampled(
    array: check.FloatArray, statistic: Statistic, cluster: check.Numbers | None, resamples: int, seed: int
) -> check.FloatArray:
    count = check.whole("resamples", resamples, minimum=100)
    rng = np.random.default_rng(check.whole("seed", seed))
    groups: list[check.FloatArray] = []
    if cluster is None:
        size = int(array.size)
    else:
        labels = check.vector("cluster", cluster)
        check.same_size("data", array, "cluster", labels)
        order = np.argsort(labels, kind="stable")
        edges = np.flatnonzero(np.diff(labels[order])) + 1
        groups.extend(np.asarray(part, dtype=np.float64) for part in np.split(array[order], edges))
        size = len(groups)
    draws = np.empty(count)
    for k in range(count):
        picks = rng.integers(0, size, size)
        chosen: list[int] = picks.tolist()
        draws[k] = statistic(np.concatenate([groups[i] for i in chosen]) if groups else array[picks])
    if not bool(np.all(np.isfinite(draws))):
        raise ValueError("statistic answered with NaN or infinity on a resample: allowed are finite numbers")
    return draws


def _summary(estimate: float, draws: check.FloatArray, alpha: float) -> BootstrapResult:
    check.probability("alpha", alpha)
    low, high = np.quantile(draws, [alpha / 2, 1 - alpha / 2])
    return BootstrapResult(estimate, float(draws.std(ddof=1)), Interval(float(low), float(high)), int(draws.size))
