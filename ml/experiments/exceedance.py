"""Tail latency looked at continuously and clustered by user.

"P95 above 100 ms" says the same as "more than 5 % of requests take longer than 100 ms". Counting slow requests
per user turns the tail into a ratio metric (`ratio.RatioSums`: slow requests over requests), whose variance over
users is right however much requests of one user resemble each other, and whose confidence sequence holds at
every look. `sequential_exceedance_test` compares shares over a fixed limit from six sums per arm;
`sequential_quantile_ratio_test` compares the P95 of both arms themselves, from raw values.

An interval that treats requests as independent is far too narrow here: with a within-user correlation of 0.5
and ten requests per user it is wrong by a factor of 2.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ml.experiments import validation as check
from ml.experiments.mixtures import AnytimeResult, best_rho, confidence_sequence, log_mixture
from ml.experiments.ratio import RatioSums, ratio_sums, usable
from ml.experiments.results import Alternative

MINIMUM_USERS = 100
"""Below this many users in an arm the variance over users is too uncertain for the asymptotic sequence."""


def exceedance_sums(values: check.Numbers, user: check.Numbers, threshold: float) -> RatioSums:
    """Return the sums over users of (requests above the threshold, requests).

    Args:
        values: one latency per request.
        user: the user of each request, as a number.
        threshold: the limit, in the unit of values.

    Raises:
        ValueError: lengths differ, fewer than two users, or a value is not finite.
    """
    x, index = _values_by_user("values", values, "user", user)
    limit = check.finite("threshold", threshold)
    requests = np.bincount(index).astype(np.float64)
    return ratio_sums(np.bincount(index, weights=(x > limit).astype(np.float64)), requests)


def sequential_exceedance_test(
    control: RatioSums,
    treatment: RatioSums,
    *,
    tuned_for: float,
    margin: float = 0.0,
    alpha: float = 0.05,
    alternative: Alternative = "greater",
) -> AnytimeResult:
    """Test at every look whether treatment's share over the limit exceeds control's by more than the margin.

    Args:
        control: sums over users, see `exceedance_sums`.
        treatment: the same.
        tuned_for: users per arm at which the test should be sharpest; fixed before the first look.
        margin: the increase of the share that is still accepted.
        alpha: level.
        alternative: "greater" for a guardrail.

    Returns:
        The interval of treatment's share minus control's, and the always-valid p-value of "<= margin".

    Raises:
        ValueError: an arm has fewer than `MINIMUM_USERS` users or no requests, or no user is ever over the
            limit so that the variance is zero (use `rates.sequential_rate_test`, which is exact).

    Source: Waudby-Smith et al. 2021 applied to the user-level influence values of Deng, Knoblich and Lu 2018.
    """
    for name, arm in (("control", control), ("treatment", treatment)):
        usable(name, arm)
        if arm.n < MINIMUM_USERS:
            raise ValueError(f"{name}.n={arm.n}: allowed are at least {MINIMUM_USERS} users")
    error = math.sqrt(control.variance_of_ratio + treatment.variance_of_ratio)
    if error == 0.0:
        raise ValueError("control, treatment: the variance is zero; allowed are arms with some requests over the limit")
    return confidence_sequence(
        treatment.ratio - control.ratio,
        error,
        2.0 * control.n * treatment.n / (control.n + treatment.n),
        tuned_for=tuned_for,
        alpha=alpha,
        null_value=margin,
        alternative=alternative,
    )


@dataclass(frozen=True)
class QuantileRatioTest:
    """Always-valid test of the ratio of two quantiles.

    Attributes:
        control_quantile: sample quantile of control.
        treatment_quantile: sample quantile of treatment.
        ratio: treatment over control.
        p_value: always-valid, of "treatment's quantile <= (1 + margin) times control's".
        log_evidence: log of the evidence against that.
    """

    control_quantile: float
    treatment_quantile: float
    ratio: float
    p_value: float
    log_evidence: float


def sequential_quantile_ratio_test(
    control: check.Numbers,
    control_user: check.Numbers,
    treatment: check.Numbers,
    treatment_user: check.Numbers,
    quantile: float,
    *,
    tuned_for: float,
    margin: float = 0.0,
    alpha: float = 0.05,
    grid: int = 200,
) -> QuantileRatioTest:
    """Test at every look whether a quantile of treatment exceeds control's by more than a share, by user.

    If it does not, then at x = control's true quantile control's share above x is exactly 1 - quantile and
    treatment's share above (1 + margin) x is at most that. The product of the two one-sided evidences against
    this pair is a supermartingale for the true x; the smallest product over all x is therefore safe.
    The minimum is bounded from below on a grid of cells, which can only make the test more careful.

    Args:
        control: one positive latency per request.
        control_user: the user of each request, as a number.
        treatment: as control.
        treatment_user: as control_user.
        quantile: 0.95 for P95.
        tuned_for: users per arm at which the test should be sharpest; fixed before the first look.
        margin: accepted relative increase; 0.1 allows ten percent.
        alpha: level the tuning is meant for.
        grid: cells over three times the tail share; more cells lose less.

    Raises:
        ValueError: an argument is out of range or an arm has fewer than `MINIMUM_USERS` users.

    Source: Howard and Ramdas 2022, section 4, with the user-level variance of Deng, Knoblich and Lu 2018.
    """
    p = check.probability("quantile", quantile)
    allowed = 1.0 + check.finite("margin", margin, minimum=0.0)
    cells = check.whole("grid", grid, minimum=10)
    rho = best_rho(check.positive("tuned_for", tuned_for), check.probability("alpha", alpha), sides=1)
    c = _Arm.of("control", control, "control_user", control_user)
    t = _Arm.of("treatment", treatment, "treatment_user", treatment_user)
    # A geometric grid wide enough that both arms refute its ends; beyond them the evidence only grows.
    spread = min(1.0, 3.0 * (1.0 - p))
    pooled = np.concatenate([c.values, t.values / allowed])
    points = np.unique(np.quantile(pooled, np.linspace(max(0.0, 1.0 - spread), 1.0, cells)))
    low = [_one_sided(c.share_above(x, 1.0 - p), c.users, rho, -1.0) for x in points]
    high = [_one_sided(t.share_above(allowed * x, 1.0 - p), t.users, rho, 1.0) for x in points]
    # Control's evidence grows with x and treatment's falls, so a cell's smallest sum is bounded by its ends.
    cell_bounds = [low[i] + high[i + 1] for i in range(len(points) - 1)]
    below_grid = _floor(rho, c.users) + high[0]
    above_grid = low[-1] + _floor(rho, t.users)
    evidence = min([*cell_bounds, below_grid, above_grid])
    q_c, q_t = float(np.quantile(c.values, p)), float(np.quantile(t.values, p))
    return QuantileRatioTest(q_c, q_t, q_t / q_c, min(1.0, math.exp(-max(0.0, evidence))), evidence)


@dataclass(frozen=True)
class _Arm:
    """Requests of one arm with the index of their user."""

    values: check.FloatArray
    index: check.IntArray
    requests: check.FloatArray

    @classmethod
    def of(cls, name: str, values: check.Numbers, user_name: str, user: check.Numbers) -> _Arm:
        x, index = _values_by_user(name, values, user_name, user)
        if float(x.min()) <= 0.0:
            raise ValueError(f"{name}={float(x.min())}: allowed are numbers > 0")
        requests = np.bincount(index).astype(np.float64)
        if requests.size < MINIMUM_USERS:
            raise ValueError(f"{user_name} holds {requests.size} users: allowed are at least {MINIMUM_USERS}")
        return cls(x, index, requests)

    @property
    def users(self) -> int:
        return int(self.requests.size)

    def share_above(self, x: float, null_share: float) -> float:
        """Standardised distance of the share above x from the null share, clustered by user."""
        above = np.bincount(self.index, weights=(self.values > x).astype(np.float64), minlength=self.users)
        share = float(above.sum()) / self.values.size
        # Variance under the null share: with no or all requests above, the sample variance would vanish.
        residual = above - share * self.requests
        spread = float(residual @ residual) / (self.users - 1) * self.users / self.values.size**2
        binomial = null_share * (1.0 - null_share) / self.values.size
        return (share - null_share) / math.sqrt(max(spread, binomial * min(1.0, share / null_share + 0.05)))


def _one_sided(z: float, n: int, rho: float, side: float) -> float:
    return log_mixture(side * z * math.sqrt(n), n, rho, sides=1)


def _floor(rho: float, n: int) -> float:
    """A value below the one-sided evidence of any z above -8."""
    return _one_sided(-8.0, n, rho, 1.0)


def _values_by_user(
    name: str, values: check.Numbers, user_name: str, user: check.Numbers
) -> tuple[check.FloatArray, check.IntArray]:
    x = check.vector(name, values, minimum_size=2)
    labels = check.vector(user_name, user)
    check.same_size(name, x, user_name, labels)
    _, index = np.unique(labels, return_inverse=True)
    return x, np.asarray(index, dtype=np.int64)
