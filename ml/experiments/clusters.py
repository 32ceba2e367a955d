"""Cluster-robust standard errors: many rows per user, and rows of one user resemble each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ml.experiments import validation as check
from ml.experiments.distributions import symmetric_interval, tail_p_value
from ml.experiments.results import Interval


@dataclass(frozen=True)
class ClusteredComparison:
    """Difference of means of rows, with the standard error that respects clusters.

    Attributes:
        difference: treatment mean minus control mean over rows.
        standard_error: cluster robust, CR1.
        independent_standard_error: as if rows were independent, HC1; too small when rows of a user agree.
        design_effect: ratio of the two standard errors.
        clusters: number of clusters, both arms together.
        p_value: two-sided, Student's t with clusters - 1 degrees of freedom.
        interval: of the difference, same t.
    """

    difference: float
    standard_error: float
    independent_standard_error: float
    design_effect: float
    clusters: int
    p_value: float
    interval: Interval


def clustered_difference(
    values: check.Numbers, treated: check.Numbers, cluster: check.Numbers, *, alpha: float = 0.05
) -> ClusteredComparison:
    """Compare the mean of rows of two arms, clustered by user.

    Args:
        values: one number per row.
        treated: 0 for control and 1 for treatment, per row.
        cluster: the user of each row, as a number.
        alpha: one minus the level of the interval.

    Raises:
        ValueError: lengths differ, an arm is empty or has a single cluster, or treated holds other numbers.

    Source: Liang and Zeger 1986; CR1 with the factor G/(G-1) (N-1)/(N-2), as statsmodels and Stata do.
    """
    y = check.vector("values", values, minimum_size=3)
    d = check.vector("treated", treated)
    g = check.vector("cluster", cluster)
    check.same_size("values", y, "treated", d)
    check.same_size("values", y, "cluster", g)
    check.probability("alpha", alpha)
    if not bool(np.all((d == 0) | (d == 1))):
        raise ValueError("treated: allowed are only 0 (control) and 1 (treatment)")
    arms = [d == 0, d == 1]
    for name, rows in zip(("control", "treatment"), arms, strict=True):
        if np.unique(g[rows]).size < 2:
            raise ValueError(f"cluster: the {name} arm has fewer than 2 clusters; allowed are at least 2")
    difference = float(y[arms[1]].mean() - y[arms[0]].mean())
    # Each row's influence on the difference; summed by cluster it gives the sandwich estimator.
    influence = np.zeros_like(y)
    for sign, rows in zip((-1.0, 1.0), arms, strict=True):
        influence[rows] = sign * (y[rows] - y[rows].mean()) / int(rows.sum())
    _, index = np.unique(g, return_inverse=True)
    by_cluster = np.bincount(index, weights=influence)
    n, groups = int(y.size), int(by_cluster.size)
    robust = math.sqrt(groups / (groups - 1) * (n - 1) / (n - 2) * float(by_cluster @ by_cluster))
    independent = math.sqrt(n / (n - 2) * float(influence @ influence))
    if robust == 0.0 or independent == 0.0:
        raise ValueError("values: the variance is zero; allowed are values that differ within an arm")
    df = float(groups - 1)
    return ClusteredComparison(
        difference=difference,
        standard_error=robust,
        independent_standard_error=independent,
        design_effect=robust / independent,
        clusters=groups,
        p_value=tail_p_value(difference / robust, "two-sided", df),
        interval=symmetric_interval(difference, robust, alpha, "two-sided", df),
    )


def intraclass_correlation(values: check.Numbers, cluster: check.Numbers) -> float:
    """Return the one-way ANOVA estimate of how strongly rows of one cluster agree (0 none, 1 fully).

    Raises:
        ValueError: lengths differ, one cluster only, or no cluster has two rows.

    Source: Donner 1986.
    """
    y = check.vector("values", values, minimum_size=3)
    g = check.vector("cluster", cluster)
    check.same_size("values", y, "cluster", g)
    _, index = np.unique(g, return_inverse=True)
    sizes = np.bincount(index).astype(np.float64)
    groups, n = int(sizes.size), int(y.size)
    if groups < 2 or groups == n:
        raise ValueError(f"cluster has {groups} clusters over {n} rows: allowed are 2 or more, some with 2 rows")
    means = np.bincount(index, weights=y) / sizes
    between = float(sizes @ (means - y.mean()) ** 2) / (groups - 1)
    within = float(((y - means[index]) ** 2).sum()) / (n - groups)
    typical_size = (n - float(sizes @ sizes) / n) / (groups - 1)
    total = between + (typical_size - 1) * within
    if total == 0.0:
        raise ValueError("values: the variance is zero; allowed are values that differ")
    return (between - within) / total


def design_effect(rows_per_cluster: float, correlation: float) -> float:
    """Return Kish's variance inflation 1 + (m - 1) * correlation for clusters of equal size m.

    Raises:
        ValueError: rows_per_cluster below 1 or correlation outside [0, 1].

    Source: Kish 1965.
    """
    m = check.finite("rows_per_cluster", rows_per_cluster, minimum=1.0)
    return 1.0 + (m - 1.0) * check.share("correlation", correlation)
