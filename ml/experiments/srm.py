"""Sample ratio mismatch: do the arms hold the share of users that the weights promised?

A mismatch means that assignment or logging is broken, and no effect can be trusted until it is explained.
`sample_ratio_test` is for one look at the end. Looking again and again needs `sequential_sample_ratio_test`
(one set of weights) or `sequential_epoch_sample_ratio_test` (weights that change along a ramp), which stay
valid at every look. Counts of a ramp must never be pooled against the present weights.

Conventions: Pearson's chi-square with arms - 1 degrees of freedom; arms of weight zero must hold nobody and
count for no degree of freedom; count every user once, in the epoch in which they were first seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from ml.experiments import validation as check
from ml.experiments.distributions import chi_square_tail
from ml.experiments.proportions import ChiSquare
from ml.experiments.tilts import log_tilt_ratio

TILTS: Final = tuple(sign * size for size in (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28) for sign in (-1, 1))
"""Changes of one arm's log odds that the sequential test for ramps looks out for; 0.08 is a 52/48 leak."""


@dataclass(frozen=True)
class SequentialRatioTest:
    """An always-valid test of the sample ratio.

    Attributes:
        log_bayes_factor: log of the evidence for a mismatch over none.
        p_value: min(1, 1 / Bayes factor); valid at any look for the data up to it.
    """

    log_bayes_factor: float
    p_value: float


@dataclass(frozen=True)
class Epoch:
    """A stretch of time with constant weights: weight and users first seen, per arm."""

    weights: Sequence[float]
    observed: Sequence[float]


def sample_ratio_test(observed: check.Numbers, weights: check.Numbers) -> ChiSquare:
    """Test counts per arm against their weights, once, at the end.

    Args:
        observed: users per arm.
        weights: in any unit; (1, 1) and (0.5, 0.5) say the same.

    Raises:
        ValueError: lengths differ, fewer than two arms with weight, no users, or users in an arm of weight 0.

    Source: Fabijan et al. 2019; Pearson 1900.
    """
    n, w = _counts(observed, weights)
    if n.sum() == 0:
        raise ValueError(f"observed={n.tolist()}: allowed is at least one user")
    statistic = _pearson(n, w)
    df = int(w.size) - 1
    return ChiSquare(statistic, df, chi_square_tail(statistic, df))


def epoch_sample_ratio_test(epochs: Sequence[Epoch]) -> ChiSquare:
    """Test counts under a ramp: the sum of one chi-square per epoch, once, at the end.

    Epochs without users say nothing and are passed over.

    Raises:
        ValueError: as `sample_ratio_test`, or no epoch has users.
    """
    statistic, df = 0.0, 0
    for index, epoch in enumerate(epochs):
        n, w = _counts(epoch.observed, epoch.weights, f"epochs[{index}].")
        if n.sum() > 0:
            statistic += _pearson(n, w)
            df += int(w.size) - 1
    if df == 0:
        raise ValueError("epochs: allowed is at least one epoch with users and two arms with weight")
    return ChiSquare(statistic, df, chi_square_tail(statistic, df))


def sequential_sample_ratio_test(
    observed: check.Numbers, weights: check.Numbers, *, prior: check.Numbers | None = None
) -> SequentialRatioTest:
    """Test counts against constant weights at every look, as often as one likes.

    Args:
        observed: users per arm so far.
        weights: of the arms.
        prior: Dirichlet parameters, one per arm; None takes 1 for each arm.

    Raises:
        ValueError: as `sample_ratio_test`, or a prior parameter is not positive.

    Source: Lindon and Malek 2022 (sequential multinomial test).
    """
    n, w = _counts(observed, weights)
    a = np.ones_like(n) if prior is None else check.vector("prior", prior)
    check.same_size("prior", a, "observed", n)
    if bool(np.any(a <= 0)):
        raise ValueError(f"prior={a.tolist()}: allowed are numbers > 0")
    marginal = math.lgamma(float(a.sum())) - math.lgamma(float(a.sum() + n.sum()))
    marginal += float((special.gammaln(a + n) - special.gammaln(a)).sum())
    log_factor = marginal - float(n @ np.log(w))
    return SequentialRatioTest(log_factor, min(1.0, math.exp(-max(0.0, log_factor))))


def sequential_epoch_sample_ratio_test(epochs: Sequence[Epoch]) -> SequentialRatioTest:
    """Test counts under a ramp at every look, gathering evidence over epochs.

    Under no mismatch each new user falls in arm a with probability w_a of its epoch. The alternative lets one
    arm leak or gain: its odds are multiplied by exp(tilt) in all epochs alike. The likelihood ratio, averaged
    over arms and over `TILTS`, is a non-negative martingale that starts at 1, so that the chance that it ever
    exceeds 1 / alpha is at most alpha (Ville), at any number of looks and any sample size.

    Epochs without users, or with a single arm of weight above 0, say nothing.

    Raises:
        ValueError: arms differ between epochs, counts are no whole numbers, or users in an arm of weight 0.

    Source: method of mixtures (Robbins 1970) on the multinomial model of Lindon and Malek 2022.
    """
    if not epochs:
        raise ValueError("epochs=[]: allowed is at least one epoch")
    arms = len(epochs[0].weights)
    for index, epoch in enumerate(epochs):
        if len(epoch.weights) != arms or len(epoch.observed) != arms:
            raise ValueError(f"epochs[{index}] has {len(epoch.weights)} arms: allowed are {arms} as before")
    table = check.count_vector("observed", [n for epoch in epochs for n in epoch.observed]).reshape(-1, arms)
    share = check.vector("weights", [w for epoch in epochs for w in epoch.weights]).reshape(-1, arms)
    sums = share.sum(axis=1)
    if bool(np.any(share < 0)) or bool(np.any(sums <= 0)) or bool(np.any((share == 0) & (table > 0))):
        for index, epoch in enumerate(epochs):
            _all_counts(epoch.observed, epoch.weights, f"epochs[{index}].")
    share = share / sums[:, None]
    tilts, total = np.array(TILTS), table.sum(axis=1)
    ratios = [log_tilt_ratio(table[:, a], total, share[:, a], tilts) for a in range(arms)]
    log_factor = float(special.logsumexp(np.array(ratios)) - math.log(arms * tilts.size))
    return SequentialRatioTest(log_factor, min(1.0, math.exp(-max(0.0, log_factor))))


def _all_counts(
    observed: check.Numbers, weights: check.Numbers, prefix: str
) -> tuple[check.FloatArray, check.FloatArray]:
    n = check.count_vector(f"{prefix}observed", observed)
    w = check.weight_vector(f"{prefix}weights", weights, size=int(n.size))
    if bool(np.any((w == 0) & (n > 0))):
        raise ValueError(f"{prefix}observed={n.tolist()}: allowed are no users in an arm of weight 0")
    return n, w


def _counts(
    observed: check.Numbers, weights: check.Numbers, prefix: str = ""
) -> tuple[check.FloatArray, check.FloatArray]:
    n, w = _all_counts(observed, weights, prefix)
    live = w > 0
    if int(live.sum()) < 2 and not prefix:
        raise ValueError(f"weights={w.tolist()}: allowed are at least two arms with a weight above 0")
    return n[live], w[live]


def _pearson(n: check.FloatArray, w: check.FloatArray) -> float:
    expected = n.sum() * w
    return float(((n - expected) ** 2 / expected).sum())
