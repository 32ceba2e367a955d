"""Two proportions: z tests, exact tests and the intervals that hold when counts are small.

Conventions where tools differ: the z test is pooled unless asked otherwise (pooled tests equality, unpooled
matches the Wald interval), effects are treatment minus control, no continuity correction anywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special, stats

from ml.experiments import validation as check
from ml.experiments.distributions import chi_square_tail, critical_value, symmetric_interval, tail_p_value
from ml.experiments.results import ALTERNATIVES, Alternative, Comparison, Interval

SMALLEST_EXPECTED_COUNT: Final = 5.0
"""Below this expected count in any cell the normal approximation is not trusted (Cochran 1954)."""


@dataclass(frozen=True)
class ChiSquare:
    """A chi-square test: statistic, degrees of freedom and p-value."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


def two_proportion_z_test(
    control_successes: float,
    control_n: float,
    treatment_successes: float,
    treatment_n: float,
    *,
    pooled: bool = True,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
) -> Comparison:
    """Test the difference of two proportions by the normal approximation.

    Args:
        control_successes: successes among control_n.
        control_n: units in control, at least 1.
        treatment_successes: successes among treatment_n.
        treatment_n: units in treatment, at least 1.
        pooled: standard error under equality (the score test); False gives the Wald test.
        alternative: "greater" means treatment above control.
        alpha: one minus the level of the interval, which is always Wald's (unpooled).

    Returns:
        Difference, standard error of the statistic, z and p-value; `note` says when counts are too small.

    Raises:
        ValueError: an argument is out of range, or all units answer alike so that the variance is zero.

    Source: Agresti, Categorical Data Analysis, section 3.2.
    """
    x_c, n_c, x_t, n_t = _counts(control_successes, control_n, treatment_successes, treatment_n)
    check.choice("alternative", alternative, ALTERNATIVES)
    check.probability("alpha", alpha)
    p_c, p_t, p = x_c / n_c, x_t / n_t, (x_c + x_t) / (n_c + n_t)
    wald = math.sqrt(p_c * (1 - p_c) / n_c + p_t * (1 - p_t) / n_t)
    error = math.sqrt(p * (1 - p) * (1 / n_c + 1 / n_t)) if pooled else wald
    if error == 0.0:
        raise ValueError(
            f"control_successes={x_c}, treatment_successes={x_t}: the variance is zero; "
            "allowed are samples with both outcomes (use fisher_exact)"
        )
    z = (p_t - p_c) / error
    return Comparison(
        estimate=p_t - p_c,
        standard_error=error,
        statistic=z,
        p_value=tail_p_value(z, alternative),
        interval=_clip(symmetric_interval(p_t - p_c, wald, alpha, alternative)),
        method=f"two-proportion z, {'pooled' if pooled else 'unpooled'}",
        note=_small_count_note(x_c, n_c, x_t, n_t),
    )


def fisher_exact(
    control_successes: float,
    control_n: float,
    treatment_successes: float,
    treatment_n: float,
    *,
    alternative: Alternative = "two-sided",
) -> float:
    """P-value of Fisher's exact conditional test of two proportions.

    Args:
        control_successes: successes among control_n.
        control_n: units in control, at least 1.
        treatment_successes: successes among treatment_n.
        treatment_n: units in treatment, at least 1.
        alternative: "greater" means treatment above control. Two-sided sums all tables that are no more
            likely than the one seen (R's and scipy's rule).

    Raises:
        ValueError: an argument is out of range.

    Source: Fisher 1935; R fisher.test.
    """
    x_c, n_c, x_t, n_t = _counts(control_successes, control_n, treatment_successes, treatment_n)
    check.choice("alternative", alternative, ALTERNATIVES)
    table = np.array([[x_t, n_t - x_t], [x_c, n_c - x_c]])
    return float(stats.fisher_exact(table, alternative=alternative).pvalue)


def compare_proportions(
    control_successes: float,
    control_n: float,
    treatment_successes: float,
    treatment_n: float,
    *,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
) -> Comparison:
    """Compare two proportions by the method that fits the counts.

    The pooled z test with Newcombe's interval where every expected count is at least 5, else Fisher's exact
    p-value with the same interval; `method` and `note` say which. The interval is always two-sided.

    Raises:
        ValueError: an argument is out of range.
    """
    x_c, n_c, x_t, n_t = _counts(control_successes, control_n, treatment_successes, treatment_n)
    interval = newcombe_interval(x_c, n_c, x_t, n_t, alpha=alpha)
    note = _small_count_note(x_c, n_c, x_t, n_t)
    if not note:
        z_test = two_proportion_z_test(x_c, n_c, x_t, n_t, alternative=alternative, alpha=alpha)
        return Comparison(
            estimate=z_test.estimate,
            standard_error=z_test.standard_error,
            statistic=z_test.statistic,
            p_value=z_test.p_value,
            interval=interval,
            method="two-proportion z, pooled; Newcombe interval",
        )
    p_value = fisher_exact(x_c, n_c, x_t, n_t, alternative=alternative)
    estimate = x_t / n_t - x_c / n_c
    # Adding one success and one failure to each arm (Agresti-Caffo) keeps the standard error above zero.
    error = _agresti_caffo_parts(x_c, n_c, x_t, n_t)[1]
    return Comparison(
        estimate=estimate,
        standard_error=error,
        statistic=estimate / error,
        p_value=p_value,
        interval=interval,
        method="Fisher exact; Newcombe interval",
        note=note,
    )


def equal_proportions_test(successes: check.Numbers, trials: check.Numbers) -> ChiSquare:
    """Pearson's chi-square test that k proportions are equal, without continuity correction.

    Raises:
        ValueError: fewer than two groups, counts out of range, or all units answer alike.

    Source: Fleiss 1981; R prop.test(correct = FALSE).
    """
    x = check.count_vector("successes", successes, minimum_size=2)
    n = check.count_vector("trials", trials, minimum_size=2)
    check.same_size("successes", x, "trials", n)
    if bool(np.any(n < 1)) or bool(np.any(x > n)):
        raise ValueError(f"successes={x.tolist()}, trials={n.tolist()}: allowed is 0 <= successes <= trials >= 1")
    p = float(x.sum() / n.sum())
    if p in {0.0, 1.0}:
        raise ValueError(f"successes={x.tolist()}: the variance is zero; allowed are samples with both outcomes")
    statistic = float(np.sum((x - n * p) ** 2 / (n * p * (1 - p))))
    df = int(x.size) - 1
    return ChiSquare(statistic, df, chi_square_tail(statistic, df))


def wilson_interval(successes: float, n: float, *, alpha: float = 0.05) -> Interval:
    """Wilson's score interval of one proportion, without continuity correction.

    Raises:
        ValueError: an argument is out of range.

    Source: Wilson 1927; Newcombe 1998, Statistics in Medicine 17:857, method 3.
    """
    x, trials = check.successes("successes", successes, "n", n)
    z = critical_value(check.probability("alpha", alpha))
    p = x / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    low = 0.0 if x == 0 else max(0.0, centre - reach)
    high = 1.0 if x == trials else min(1.0, centre + reach)
    return Interval(low, high)


def clopper_pearson_interval(successes: float, n: float, *, alpha: float = 0.05) -> Interval:
    """Exact (conservative) binomial interval of one proportion.

    Raises:
        ValueError: an argument is out of range.

    Source: Clopper and Pearson 1934.
    """
    x, trials = check.successes("successes", successes, "n", n)
    check.probability("alpha", alpha)
    low = 0.0 if x == 0 else float(special.betaincinv(x, trials - x + 1, alpha / 2))
    high = 1.0 if x == trials else float(special.betaincinv(x + 1, trials - x, 1 - alpha / 2))
    return Interval(low, high)


def wald_interval(
    control_successes: float, control_n: float, treatment_successes: float, treatment_n: float, *, alpha: float = 0.05
) -> Interval:
    """Wald's interval of the difference, treatment minus control; poor when counts are small.

    Raises:
        ValueError: an argument is out of range.

    Source: Newcombe 1998, Statistics in Medicine 17:873, method 1.
    """
    x_c, n_c, x_t, n_t = _counts(control_successes, control_n, treatment_successes, treatment_n)
    check.probability("alpha", alpha)
    p_c, p_t = x_c / n_c, x_t / n_t
    error = math.sqrt(p_c * (1 - p_c) / n_c + p_t * (1 - p_t) / n_t)
    return _clip(symmetric_interval(p_t - p_c, error, alpha))


def newcombe_interval(
    control_successes: float, control_n: float, treatment_successes: float, treatment_n: float, *, alpha: float = 0.05
) -> Interval:
    """Newcombe's hybrid score interval of the difference, treatment minus control; good at small counts.

    Raises:
        ValueError: an argument is out of range.

    Source: Newcombe 1998, Statistics in Medicine 17:873, method 10.
    """
    x_c, n_c, x_t, n_t = _counts(control_successes, control_n, treatment_successes, treatment_n)
    p_c, p_t = x_c / n_c, x_t / n_t
    control = wilson_interval(x_c, n_c, alpha=alpha)
    treatment = wilson_interval(x_t, n_t, alpha=alpha)
    below = math.hypot(p_t - treatment.low, control.high - p_c)
    above = math.hypot(treatment.high - p_t, p_c - control.low)
    return _clip(Interval(p_t - p_c - below, p_t - p_c + above))


def agresti_caffo_interval(
    control_successes: float, control_n: float, treatment_successes: float, treatment_n: float, *, alpha: float = 0.05
) -> Interval:
    """Wald's interval after adding one success and one failure to each arm.

    Raises:
        ValueError: an argument is out of range.

    Source: Agresti and Caffo 2000.
    """
    x_c, n_c, x_t, n_t = _counts(control_successes, control_n, treatment_successes, treatment_n)
    check.probability("alpha", alpha)
    centre, error = _agresti_caffo_parts(x_c, n_c, x_t, n_t)
    return _clip(symmetric_interval(centre, error, alpha))


def _counts(
    control_successes: float, control_n: float, treatment_successes: float, treatment_n: float
) -> tuple[int, int, int, int]:
    x_c, n_c = check.successes("control_successes", control_successes, "control_n", control_n)
    x_t, n_t = check.successes("treatment_successes", treatment_successes, "treatment_n", treatment_n)
    return x_c, n_c, x_t, n_t


def _agresti_caffo_parts(x_c: int, n_c: int, x_t: int, n_t: int) -> tuple[float, float]:
    p_c, p_t = (x_c + 1) / (n_c + 2), (x_t + 1) / (n_t + 2)
    return p_t - p_c, math.sqrt(p_c * (1 - p_c) / (n_c + 2) + p_t * (1 - p_t) / (n_t + 2))


def _clip(interval: Interval) -> Interval:
    return Interval(max(-1.0, interval.low), min(1.0, interval.high))


def _small_count_note(x_c: int, n_c: int, x_t: int, n_t: int) -> str:
    p = (x_c + x_t) / (n_c + n_t)
    smallest = min(p, 1 - p) * min(n_c, n_t)
    if smallest >= SMALLEST_EXPECTED_COUNT:
        return ""
    return (
        f"the smallest expected count is {smallest:.3g}, below {SMALLEST_EXPECTED_COUNT:g}: "
        "the normal approximation does not hold, use the exact test"
    )
