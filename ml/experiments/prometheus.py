"""From Prometheus series to numbers: quantiles of histograms, increases of counters, shares over a limit.

Unlike PromQL's rate() nothing is extrapolated and nothing is silently zero: what the samples do not say is a
ValueError, because missing data must never become evidence.
"""

from __future__ import annotations

import math

import numpy as np

from ml.experiments import validation as check


def histogram_quantile(upper_bounds: check.Numbers, cumulative: check.Numbers, quantile: float) -> float:
    """Return a quantile of a classic histogram by linear interpolation inside its bucket.

    Args:
        upper_bounds: the `le` labels in increasing order; the last is infinity.
        cumulative: the bucket counters (or their increases), in the same order.
        quantile: strictly between 0 and 1.

    Returns:
        The value; when it falls in the last bucket, the highest finite bound, as Prometheus does.

    Raises:
        ValueError: bounds not increasing or without infinity, counts that fall, or no observation.

    Source: Prometheus, histogram_quantile().
    """
    bounds, counts = _buckets(upper_bounds, cumulative)
    rank = check.probability("quantile", quantile) * float(counts[-1])
    bucket = int(np.searchsorted(counts, rank))
    if bucket == bounds.size - 1:
        return float(bounds[-2])
    # Prometheus takes the lowest bucket to start at 0 when its bound is positive.
    start = float(bounds[bucket - 1]) if bucket else min(0.0, float(bounds[0]))
    if bucket == 0 and bounds[0] <= 0.0:
        return float(bounds[0])
    before = float(counts[bucket - 1]) if bucket else 0.0
    inside = float(counts[bucket]) - before
    return start + (float(bounds[bucket]) - start) * (rank - before) / inside


def bucket_exceedances(upper_bounds: check.Numbers, cumulative: check.Numbers, threshold: float) -> tuple[int, int]:
    """Return (observations above the threshold, all observations), exactly.

    Raises:
        ValueError: as `histogram_quantile`, or no bucket edge at the threshold (then the count is not known).
    """
    bounds, counts = _buckets(upper_bounds, cumulative)
    limit = check.finite("threshold", threshold)
    edge = np.flatnonzero(np.isclose(bounds, limit, rtol=1e-9, atol=0.0))
    if edge.size == 0:
        raise ValueError(f"threshold={limit}: allowed are the bucket edges {bounds[:-1].tolist()}")
    total = round(float(counts[-1]))
    return total - round(float(counts[int(edge[0])])), total


def counter_increase(samples: check.Numbers) -> float:
    """Return by how much a counter grew over its samples, across restarts.

    A sample below the one before means a restart: the counter began anew at zero, so the new value is all
    growth. Growth between the last sample before a restart and the restart itself is lost, as in Prometheus.

    Raises:
        ValueError: fewer than two samples, or a negative or not finite one.
    """
    values = check.vector("samples", samples, minimum_size=2)
    if bool(np.any(values < 0)):
        raise ValueError(f"samples={float(values.min())}: allowed are numbers >= 0")
    steps = np.diff(values)
    return float(np.where(steps < 0, values[1:], steps).sum())


def counter_resets(samples: check.Numbers) -> int:
    """Return how often a counter restarted.

    Raises:
        ValueError: as `counter_increase`.
    """
    values = check.vector("samples", samples, minimum_size=2)
    return int((np.diff(values) < 0).sum())


def _buckets(upper_bounds: check.Numbers, cumulative: check.Numbers) -> tuple[check.FloatArray, check.FloatArray]:
    try:
        bounds = np.asarray(upper_bounds, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"upper_bounds={upper_bounds!r}: allowed are increasing numbers, the last +Inf") from error
    if bounds.ndim != 1 or bounds.size < 2 or bounds[-1] != math.inf or not bool(np.all(np.diff(bounds) > 0)):
        raise ValueError(f"upper_bounds={bounds.tolist()}: allowed are increasing numbers, the last +Inf")
    counts = check.vector("cumulative", cumulative, minimum_size=2)
    check.same_size("upper_bounds", bounds, "cumulative", counts)
    if counts[0] < 0 or bool(np.any(np.diff(counts) < 0)):
        raise ValueError(f"cumulative={counts.tolist()}: allowed are counts >= 0 that never fall")
    if counts[-1] == 0:
        raise ValueError("cumulative: allowed is at least one observation")
    return bounds, counts
