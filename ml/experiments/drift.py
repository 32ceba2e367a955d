"""Drift of a feature or a score between a reference sample and a current one.

Rules of thumb such as "PSI above 0.2" ignore the sample size: with few rows they fire on noise, with many
they miss real shifts. Every distance here comes with a p-value or a threshold calibrated to both sample sizes.

Conventions: PSI and Hellinger work on shares per bin; an empty bin is an error unless `smoothing` adds that many
counts to each bin (0.5 is customary). Both are symmetric enough that the order of the arguments only matters
for the chi-square test, which holds the reference for exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy import special, stats

from ml.experiments import validation as check
from ml.experiments.distributions import chi_square_tail
from ml.experiments.multiplicity import benjamini_hochberg, holm


class DriftTest(NamedTuple):
    """A distance and the chance of one at least as large without drift."""

    distance: float
    p_value: float


@dataclass(frozen=True)
class FeatureDrift:
    """Verdict for one feature after adjusting for the number of features."""

    test: DriftTest
    adjusted_p_value: float
    drifted: bool


def population_stability_index(expected: check.Numbers, actual: check.Numbers, *, smoothing: float = 0.0) -> float:
    """Return sum (a - e) ln(a / e) over bins, from shares or counts.

    Raises:
        ValueError: lengths differ, a negative number, or an empty bin without smoothing.

    Source: Siddiqi 2006.
    """
    e, a = _shares(expected, actual, smoothing)
    return float(((a - e) * np.log(a / e)).sum())


def psi_verdict(psi: float) -> Literal["stable", "moderate", "significant"]:
    """Return the customary reading of a PSI: below 0.1 stable, below 0.25 moderate, else significant.

    Only a label for people; decide by `psi_test`.
    """
    value = check.finite("psi", psi, minimum=0.0)
    if value < 0.1:
        return "stable"
    return "moderate" if value < 0.25 else "significant"


def psi_test(expected: check.Numbers, actual: check.Numbers, *, smoothing: float = 0.5) -> DriftTest:
    """Test drift by PSI from counts; n m / (n + m) PSI is chi-square with bins - 1 degrees of freedom.

    Raises:
        ValueError: as `population_stability_index`, or counts that are no whole numbers.

    Source: Yurdakul and Naranjo 2020.
    """
    e, a = check.count_vector("expected", expected, 2), check.count_vector("actual", actual, 2)
    psi = population_stability_index(e, a, smoothing=smoothing)
    return DriftTest(psi, chi_square_tail(psi * _harmonic(e, a), float(e.size - 1)))


def psi_threshold(n_expected: float, n_actual: float, bins: int, *, alpha: float = 0.05) -> float:
    """Return the PSI that is exceeded with chance alpha when nothing drifts.

    Raises:
        ValueError: an argument is out of range.

    Source: Yurdakul and Naranjo 2020.
    """
    n, m = check.whole("n_expected", n_expected, minimum=1), check.whole("n_actual", n_actual, minimum=1)
    df = check.whole("bins", bins, minimum=2) - 1
    return float(special.chdtri(df, check.probability("alpha", alpha))) * (1.0 / n + 1.0 / m)


def hellinger_distance(expected: check.Numbers, actual: check.Numbers) -> float:
    """Return sqrt(1 - sum sqrt(e a)) from shares or counts: 0 for equal, 1 for disjoint; empty bins are fine.

    Raises:
        ValueError: lengths differ or a negative number.

    Source: Hellinger 1909; Bhattacharyya coefficient.
    """
    e, a = check.weight_vector("expected", expected), check.weight_vector("actual", actual)
    check.same_size("expected", e, "actual", a)
    return math.sqrt(max(0.0, 1.0 - float(np.sqrt(e * a).sum())))


def hellinger_test(expected: check.Numbers, actual: check.Numbers) -> DriftTest:
    """Test drift by Hellinger distance from counts; 8 n m / (n + m) H^2 is chi-square without drift.

    Raises:
        ValueError: as `hellinger_distance`, or counts that are no whole numbers.

    Source: Read and Cressie 1988 (Freeman-Tukey statistic).
    """
    e, a = check.count_vector("expected", expected, 2), check.count_vector("actual", actual, 2)
    h = hellinger_distance(e, a)
    occupied = max(2, int(((e + a) > 0).sum()))
    return DriftTest(h, chi_square_tail(8.0 * h * h * _harmonic(e, a), float(occupied - 1)))


def chi_square_drift_test(
    reference: check.Numbers, current: check.Numbers, *, reference_is_exact: bool = True
) -> DriftTest:
    """Test drift of category counts.

    Args:
        reference: counts per category.
        current: counts per category, in the same order.
        reference_is_exact: compare current with the reference shares as if these were known (goodness of
            fit); False tests that both samples come from one distribution (homogeneity), which is right
            when the reference is a sample of similar size.

    Raises:
        ValueError: lengths differ, counts that are no whole numbers, or a category that the reference lacks.

    Source: Pearson 1900.
    """
    e, a = check.count_vector("reference", reference, 2), check.count_vector("current", current, 2)
    check.same_size("reference", e, "current", a)
    live = (e + a) > 0
    e, a = e[live], a[live]
    if e.sum() == 0 or a.sum() == 0 or e.size < 2:
        raise ValueError("reference, current: allowed are samples with some counts in two categories or more")
    if reference_is_exact:
        if bool(np.any(e == 0)):
            raise ValueError(f"reference={e.tolist()}: allowed are counts > 0 wherever current has counts")
        expected = a.sum() * e / e.sum()
        statistic = float(((a - expected) ** 2 / expected).sum())
    else:
        table = np.vstack([e, a])
        expected_table = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
        statistic = float(((table - expected_table) ** 2 / expected_table).sum())
    return DriftTest(statistic, chi_square_tail(statistic, float(e.size - 1)))


def kolmogorov_smirnov_test(reference: check.Numbers, current: check.Numbers) -> DriftTest:
    """Test drift of a continuous feature: largest distance of the two distribution functions, exact p-value.

    Exact where scipy can count the paths (up to 10,000 values per sample), asymptotic beyond. Ties make the test
    careful.

    Raises:
        ValueError: an empty sample or a value that is not finite.

    Source: Smirnov 1939; Hodges 1958.
    """
    x, y = check.vector("reference", reference), check.vector("current", current)
    # With "auto" scipy changes to the asymptotic formula silently where counting paths would overflow.
    result = stats.ks_2samp(x, y, method="auto" if x.size * y.size < 2**31 else "asymp")
    return DriftTest(float(result.statistic), min(1.0, float(result.pvalue)))


def wasserstein_distance(reference: check.Numbers, current: check.Numbers) -> float:
    """Return the mean distance that values have to move to turn one sample into the other, in their unit.

    Raises:
        ValueError: an empty sample or a value that is not finite.
    """
    return float(stats.wasserstein_distance(check.vector("reference", reference), check.vector("current", current)))


def wasserstein_test(
    reference: check.Numbers, current: check.Numbers, *, permutations: int = 999, seed: int = 0
) -> DriftTest:
    """Test drift by the Wasserstein distance, calibrated by seeded permutation of the pooled sample.

    Raises:
        ValueError: as `wasserstein_distance`, or permutations below 99.

    Source: Phipson and Smyth 2010 for the p-value (b + 1) / (m + 1).
    """
    x, y = check.vector("reference", reference), check.vector("current", current)
    count = check.whole("permutations", permutations, minimum=99)
    rng = np.random.default_rng(check.whole("seed", seed))
    seen = wasserstein_distance(x, y)
    pooled = np.sort(np.concatenate([x, y]))
    gaps = np.diff(pooled)
    from_x = np.zeros(pooled.size)
    from_x[: x.size] = 1.0 / x.size
    from_x[x.size :] = -1.0 / y.size
    larger = 0
    for _ in range(count):
        # Area between the two distribution functions of a random split of the pooled sample.
        distance = float(np.abs(np.cumsum(rng.permutation(from_x))[:-1]) @ gaps)
        larger += distance >= seen * (1.0 - 1e-12)
    return DriftTest(seen, (larger + 1) / (count + 1))


def drift_over_features(
    tests: Mapping[str, DriftTest], *, alpha: float = 0.05, control: Literal["family", "discovery"] = "family"
) -> Mapping[str, FeatureDrift]:
    """Adjust the tests of many features: Holm for any false alarm, Benjamini-Hochberg for their share.

    Raises:
        ValueError: no test or alpha outside (0, 1).
    """
    if not tests:
        raise ValueError("tests={}: allowed is at least one feature")
    check.choice("control", control, ("family", "discovery"))
    method = holm if control == "family" else benjamini_hochberg
    adjusted = method([test.p_value for test in tests.values()], alpha=alpha)
    return {
        name: FeatureDrift(test, p_value, rejected)
        for (name, test), p_value, rejected in zip(tests.items(), adjusted.p_values, adjusted.rejected, strict=True)
    }


def _shares(
    expected: check.Numbers, actual: check.Numbers, smoothing: float
) -> tuple[check.FloatArray, check.FloatArray]:
    e, a = check.vector("expected", expected, 2), check.vector("actual", actual, 2)
    check.same_size("expected", e, "actual", a)
    extra = check.finite("smoothing", smoothing, minimum=0.0)
    e_share, a_share = check.weight_vector("expected", e + extra), check.weight_vector("actual", a + extra)
    if bool(np.any(e_share == 0)) or bool(np.any(a_share == 0)):
        raise ValueError("expected, actual: a bin is empty; allowed are shares > 0, or smoothing > 0")
    return e_share, a_share


def _harmonic(e: check.FloatArray, a: check.FloatArray) -> float:
    return float(e.sum() * a.sum() / (e.sum() + a.sum()))
