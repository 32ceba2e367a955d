"""Ratio metrics such as errors per request or clicks per view, where the unit of analysis is the user.

A user contributes a numerator and a denominator that depend on each other, and requests of one user resemble
each other. The delta method over users handles both, and needs only six sums per arm (`RatioSums`). A plain
mean is the special case denominator = 1; a share of requests over a latency limit clustered by user is the
case numerator = slow requests, denominator = requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ml.experiments import validation as check
from ml.experiments.distributions import symmetric_interval, tail_p_value
from ml.experiments.results import ALTERNATIVES, Alternative, Comparison


@dataclass(frozen=True)
class RatioSums:
    """Sums over the units (users) of one arm.

    Attributes:
        n: units.
        numerator: sum of numerators.
        denominator: sum of denominators.
        numerator_squares: sum of squared numerators.
        denominator_squares: sum of squared denominators.
        products: sum of numerator times denominator.
    """

    n: int
    numerator: float
    denominator: float
    numerator_squares: float
    denominator_squares: float
    products: float

    def __post_init__(self) -> None:
        check.whole("n", self.n)
        for name in ("numerator", "products"):
            check.finite(name, getattr(self, name))
        for name in ("denominator", "numerator_squares", "denominator_squares"):
            check.finite(name, getattr(self, name), minimum=0.0)
        limit = math.sqrt(self.numerator_squares * self.denominator_squares)
        if abs(self.products) > limit * (1 + 1e-9) + 1e-12:
            raise ValueError(f"products={self.products}: allowed is at most sqrt(squares * squares) = {limit}")

    def __add__(self, other: RatioSums) -> RatioSums:
        return RatioSums(
            self.n + other.n,
            self.numerator + other.numerator,
            self.denominator + other.denominator,
            self.numerator_squares + other.numerator_squares,
            self.denominator_squares + other.denominator_squares,
            self.products + other.products,
        )

    @property
    def ratio(self) -> float:
        """Total numerator over total denominator."""
        return self.numerator / self.denominator

    @property
    def influence_variance(self) -> float:
        """Variance over units (n - 1) of (numerator - ratio * denominator) / mean denominator."""
        r = self.ratio
        squares = self.numerator_squares - 2 * r * self.products + r * r * self.denominator_squares
        mean_denominator = self.denominator / self.n
        return max(0.0, squares) / (self.n - 1) / mean_denominator**2

    @property
    def variance_of_ratio(self) -> float:
        """Squared standard error of the ratio, clustered by unit."""
        return self.influence_variance / self.n


def ratio_sums(numerator: check.Numbers, denominator: check.Numbers) -> RatioSums:
    """Return the sums of per-user numerators and denominators.

    Raises:
        ValueError: lengths differ, a value is not finite or a denominator is negative.
    """
    y = check.vector("numerator", numerator, minimum_size=2)
    m = check.vector("denominator", denominator, minimum_size=2)
    check.same_size("numerator", y, "denominator", m)
    if bool(np.any(m < 0)):
        raise ValueError(f"denominator={float(m.min())}: allowed are numbers >= 0")
    return RatioSums(int(y.size), float(y.sum()), float(m.sum()), float(y @ y), float(m @ m), float(y @ m))


def mean_sums(n: float, total: float, total_of_squares: float) -> RatioSums:
    """Return the sums of a plain mean: every unit's denominator is 1.

    Raises:
        ValueError: an argument is out of range.
    """
    size = check.whole("n", n)
    return RatioSums(size, total, float(size), total_of_squares, float(size), total)


def proportion_sums(successes: float, n: float) -> RatioSums:
    """Return the sums of a proportion with one observation per unit.

    Raises:
        ValueError: successes outside 0..n.
    """
    size = check.whole("n", n)
    hits = check.whole("successes", successes)
    if hits > size:
        raise ValueError(f"successes={hits}: allowed is a whole number from 0 to n={size}")
    return mean_sums(size, float(hits), float(hits))


@dataclass(frozen=True)
class RatioEstimate:
    """A ratio with its delta-method variance.

    Attributes:
        ratio: total numerator over total denominator.
        unit_variance: variance per unit, to be divided by n.
        standard_error: of the ratio.
        covariance: sample covariance of numerator and denominator.
    """

    ratio: float
    unit_variance: float
    standard_error: float
    covariance: float


def ratio_estimate(sums: RatioSums) -> RatioEstimate:
    """Estimate a ratio metric of one arm by the delta method.

    Raises:
        ValueError: fewer than two units or a total denominator of zero.

    Source: Deng, Knoblich and Lu 2018, arXiv 1803.06336, section 3.
    """
    usable("sums", sums)
    covariance = (sums.products - sums.numerator * sums.denominator / sums.n) / (sums.n - 1)
    return RatioEstimate(
        ratio=sums.ratio,
        unit_variance=sums.influence_variance,
        standard_error=math.sqrt(sums.variance_of_ratio),
        covariance=covariance,
    )


def compare_ratios(
    control: RatioSums, treatment: RatioSums, *, alternative: Alternative = "two-sided", alpha: float = 0.05
) -> Comparison:
    """Test the difference of two ratio metrics, clustered by unit.

    Raises:
        ValueError: an arm has fewer than two units or no denominator, or both variances are zero.

    Source: Deng, Knoblich and Lu 2018.
    """
    usable("control", control)
    usable("treatment", treatment)
    check.choice("alternative", alternative, ALTERNATIVES)
    check.probability("alpha", alpha)
    error = math.sqrt(control.variance_of_ratio + treatment.variance_of_ratio)
    if error == 0.0:
        raise ValueError("control, treatment: the variance of both ratios is zero; allowed is one above 0")
    difference = treatment.ratio - control.ratio
    z = difference / error
    return Comparison(
        estimate=difference,
        standard_error=error,
        statistic=z,
        p_value=tail_p_value(z, alternative),
        interval=symmetric_interval(difference, error, alpha, alternative),
        method="ratio metric, delta method",
    )


def usable(name: str, sums: RatioSums) -> RatioSums:
    """Return sums that allow an estimate, or raise a ValueError that names them."""
    if sums.n < 2:
        raise ValueError(f"{name}.n={sums.n}: allowed are at least 2 units")
    if sums.denominator <= 0.0:
        raise ValueError(f"{name}.denominator={sums.denominator}: allowed are numbers > 0")
    return sums
