"""Two means: Welch's and Student's t test, from raw values or from sums alone.

Sums (count, sum, sum of squares) are all that a metrics store needs to keep, so every test of means starts
from `Moments`. Effects are treatment minus control.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ml.experiments import validation as check
from ml.experiments.distributions import symmetric_interval, tail_p_value
from ml.experiments.results import ALTERNATIVES, Alternative, Comparison


@dataclass(frozen=True)
class Moments:
    """Sample size, mean and variance (n - 1 in the denominator) of one arm."""

    n: int
    mean: float
    variance: float

    def __post_init__(self) -> None:
        check.whole("n", self.n, minimum=2)
        check.finite("mean", self.mean)
        check.finite("variance", self.variance, minimum=0.0)

    @property
    def variance_of_mean(self) -> float:
        """Squared standard error of the mean."""
        return self.variance / self.n


def moments_from_data(values: check.Numbers) -> Moments:
    """Return the moments of raw values.

    Raises:
        ValueError: fewer than two values, or a value that is not finite.
    """
    array = check.vector("values", values, minimum_size=2)
    return Moments(int(array.size), float(array.mean()), float(array.var(ddof=1)))


def moments_from_sums(n: float, total: float, total_of_squares: float) -> Moments:
    """Return the moments that belong to a count, a sum and a sum of squares.

    Raises:
        ValueError: n below 2, or a sum of squares that no sample with this sum can have.
    """
    size = check.whole("n", n, minimum=2)
    check.finite("total", total)
    check.finite("total_of_squares", total_of_squares, minimum=0.0)
    spread = total_of_squares - total * total / size
    # Sums of floats carry rounding errors; a spread that is negative beyond them is a contradiction.
    if spread < -1e-9 * max(total_of_squares, 1e-300):
        raise ValueError(
            f"total_of_squares={total_of_squares}: allowed is at least total^2 / n = {total * total / size}"
        )
    return Moments(size, total / size, max(0.0, spread) / (size - 1))


def welch_t_test(
    control: Moments,
    treatment: Moments,
    *,
    null_difference: float = 0.0,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
) -> Comparison:
    """Test the difference of two means without assuming equal variances.

    Args:
        control: moments of the control arm.
        treatment: moments of the treatment arm.
        null_difference: the difference under the null hypothesis (a margin, for non-inferiority).
        alternative: "greater" means treatment - control above null_difference.
        alpha: one minus the level of the interval.

    Raises:
        ValueError: an argument is out of range, or both variances are zero.

    Source: Welch 1947, with Satterthwaite's degrees of freedom.
    """
    check.choice("alternative", alternative, ALTERNATIVES)
    check.probability("alpha", alpha)
    check.finite("null_difference", null_difference)
    v_c, v_t = control.variance_of_mean, treatment.variance_of_mean
    if v_c + v_t == 0.0:
        raise ValueError(
            "control.variance=0.0, treatment.variance=0.0: allowed is a variance above 0 in at least one arm"
        )
    df = welch_degrees_of_freedom(control, treatment)
    return _t_test(control, treatment, math.sqrt(v_c + v_t), df, null_difference, alternative, alpha, "Welch t")


def welch_degrees_of_freedom(control: Moments, treatment: Moments) -> float:
    """Satterthwaite's degrees of freedom of the difference of two means."""
    # Shares of the variance, not the variances themselves: their squares would underflow for tiny units.
    total = control.variance_of_mean + treatment.variance_of_mean
    share_c, share_t = control.variance_of_mean / total, treatment.variance_of_mean / total
    return 1.0 / (share_c**2 / (control.n - 1) + share_t**2 / (treatment.n - 1))


def pooled_t_test(
    control: Moments,
    treatment: Moments,
    *,
    null_difference: float = 0.0,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
) -> Comparison:
    """Student's t test, which assumes equal variances; prefer `welch_t_test` where in doubt.

    Raises:
        ValueError: an argument is out of range, or both variances are zero.

    Source: Student 1908.
    """
    check.choice("alternative", alternative, ALTERNATIVES)
    check.probability("alpha", alpha)
    check.finite("null_difference", null_difference)
    df = control.n + treatment.n - 2
    pooled = ((control.n - 1) * control.variance + (treatment.n - 1) * treatment.variance) / df
    if pooled == 0.0:
        raise ValueError(
            "control.variance=0.0, treatment.variance=0.0: allowed is a variance above 0 in at least one arm"
        )
    error = math.sqrt(pooled * (1 / control.n + 1 / treatment.n))
    return _t_test(control, treatment, error, float(df), null_difference, alternative, alpha, "Student t, pooled")


def _t_test(
    control: Moments,
    treatment: Moments,
    error: float,
    df: float,
    null_difference: float,
    alternative: Alternative,
    alpha: float,
    method: str,
) -> Comparison:
    difference = treatment.mean - control.mean
    t = (difference - null_difference) / error
    return Comparison(
        estimate=difference,
        standard_error=error,
        statistic=t,
        p_value=tail_p_value(t, alternative, df),
        interval=symmetric_interval(difference, error, alpha, alternative, df),
        method=method,
        degrees_of_freedom=df,
    )


def merge_moments(parts: list[Moments]) -> Moments:
    """Return the moments of the union of samples, as if the raw values had been pooled.

    Raises:
        ValueError: parts is empty.

    Source: Chan, Golub and LeVeque 1983.
    """
    if not parts:
        raise ValueError("parts=[]: allowed is at least one sample")
    n = np.array([part.n for part in parts], dtype=np.float64)
    mean = np.array([part.mean for part in parts])
    total = float(n.sum())
    grand = float((n * mean).sum() / total)
    within = sum((part.n - 1) * part.variance for part in parts)
    between = float((n * (mean - grand) ** 2).sum())
    return Moments(int(total), grand, (within + between) / (total - 1))
