"""Non-inferiority: show that treatment is not worse than control by more than a margin.

"No significant difference" is no such proof: a small sample never finds anything. Here the null hypothesis is
"worse by the margin or more", and rejecting it at one-sided alpha is the proof.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ml.experiments import validation as check
from ml.experiments.distributions import critical_value, tail_p_value
from ml.experiments.means import Moments, welch_t_test

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class NonInferiority:
    """Verdict of a non-inferiority test.

    Attributes:
        difference: treatment minus control.
        bound: confidence bound on the harmful side, to be compared with the margin.
        statistic: z (or t) of the distance to the margin; negative favours non-inferiority when lower is
            better, positive when higher is better.
        p_value: one-sided.
        non_inferior: p_value < alpha.
    """

    difference: float
    bound: float
    statistic: float
    p_value: float
    non_inferior: bool


def noninferior_proportion(
    control_successes: float,
    control_n: float,
    treatment_successes: float,
    treatment_n: float,
    *,
    margin: float,
    better: Better,
    alpha: float = 0.025,
) -> NonInferiority:
    """Test that a proportion of treatment is not worse than control's by the margin (unpooled Wald).

    Args:
        control_successes: successes (errors, conversions) among control_n.
        control_n: units in control.
        treatment_successes: successes among treatment_n.
        treatment_n: units in treatment.
        margin: the harm that is still accepted, an absolute difference > 0.
        better: "lower" for an error rate, "higher" for accuracy.
        alpha: one-sided level.

    Raises:
        ValueError: an argument is out of range or the variance is zero.

    Source: Blackwelder 1982.
    """
    x_c, n_c = check.successes("control_successes", control_successes, "control_n", control_n)
    x_t, n_t = check.successes("treatment_successes", treatment_successes, "treatment_n", treatment_n)
    check.finite("margin", margin, above=0.0, below=1.0)
    check.choice("better", better, ("lower", "higher"))
    check.probability("alpha", alpha)
    p_c, p_t = x_c / n_c, x_t / n_t
    error = math.sqrt(p_c * (1 - p_c) / n_c + p_t * (1 - p_t) / n_t)
    if error == 0.0:
        raise ValueError(
            f"control_successes={x_c}, treatment_successes={x_t}: the variance is zero; "
            "allowed are samples with both outcomes"
        )
    return _verdict(p_t - p_c, error, margin, better, alpha, None)


def noninferior_mean(
    control: Moments, treatment: Moments, *, margin: float, better: Better, alpha: float = 0.025
) -> NonInferiority:
    """Test that a mean of treatment is not worse than control's by the margin (Welch t).

    Raises:
        ValueError: an argument is out of range or the variance is zero.
    """
    check.positive("margin", margin)
    check.choice("better", better, ("lower", "higher"))
    check.probability("alpha", alpha)
    test = welch_t_test(control, treatment)
    return _verdict(test.estimate, test.standard_error, margin, better, alpha, test.degrees_of_freedom)


def _verdict(
    difference: float, error: float, margin: float, better: Better, alpha: float, df: float | None
) -> NonInferiority:
    reach = critical_value(alpha, "greater", df) * error
    if better == "lower":
        statistic = (difference - margin) / error
        p_value = tail_p_value(statistic, "less", df)
        bound = difference + reach
    else:
        statistic = (difference + margin) / error
        p_value = tail_p_value(statistic, "greater", df)
        bound = difference - reach
    return NonInferiority(difference, bound, statistic, p_value, p_value < alpha)
