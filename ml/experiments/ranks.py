"""Mann-Whitney: whether one arm tends to give larger values than the other, by ranks alone.

It answers "is a random treatment value larger than a random control value", not "is the mean larger":
two arms with equal means but different spread can differ here, and a worse tail can hide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy import stats

from ml.experiments import validation as check
from ml.experiments.results import ALTERNATIVES, Alternative

LARGEST_EXACT_SAMPLE: Final = 8
"""With an arm of at most this size and no ties, the exact null distribution is used (as scipy and R do)."""


@dataclass(frozen=True)
class RankTest:
    """U of the treatment arm, the p-value, and the chance that treatment beats control (ties count half)."""

    u_treatment: float
    u_control: float
    probability_treatment_larger: float
    p_value: float
    method: str


def mann_whitney_test(
    control: check.Numbers,
    treatment: check.Numbers,
    *,
    alternative: Alternative = "two-sided",
    method: Literal["auto", "exact", "asymptotic"] = "auto",
) -> RankTest:
    """Test whether values of the two arms come from one distribution.

    Args:
        control: raw values.
        treatment: raw values.
        alternative: "greater" means treatment tends to be larger.
        method: the exact null distribution, the normal approximation with tie and continuity correction,
            or "auto": exact where the smaller arm has at most 8 values and none are tied.

    Raises:
        ValueError: an arm is empty, a value is not finite, all values are equal, or exact is asked for with ties.

    Source: Mann and Whitney 1947.
    """
    y = check.vector("control", control)
    x = check.vector("treatment", treatment)
    check.choice("alternative", alternative, ALTERNATIVES)
    check.choice("method", method, ("auto", "exact", "asymptotic"))
    pooled = np.concatenate([x, y])
    distinct = np.unique(pooled).size
    if distinct == 1:
        raise ValueError(f"treatment and control hold one single value {pooled[0]}: allowed are values that differ")
    ties = distinct < pooled.size
    if method == "exact" and ties:
        raise ValueError("method='exact': allowed are only samples without ties; use 'asymptotic'")
    chosen = method
    if method == "auto":
        chosen = "exact" if min(x.size, y.size) <= LARGEST_EXACT_SAMPLE and not ties else "asymptotic"
    result = stats.mannwhitneyu(x, y, alternative=alternative, method=chosen)
    u = float(result.statistic)
    return RankTest(
        u_treatment=u,
        u_control=x.size * y.size - u,
        probability_treatment_larger=u / (x.size * y.size),
        p_value=min(1.0, float(result.pvalue)),
        method=f"Mann-Whitney, {chosen}",
    )
