"""The Bayesian view, for reports: chance to win and expected loss.

Never used to stop. "Stop when the chance to win exceeds 95 %" is naive peeking in other words: looked at often
enough, it picks a winner among equals most of the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.polynomial import legendre
from scipy import special

from ml.experiments import validation as check
from ml.experiments.distributions import normal_cdf, normal_density, symmetric_interval
from ml.experiments.results import Interval

_TAIL: Final = 30.0
"""Exponents of the logit's tail beyond which the rest, exp(-30), is left out."""
_legendre = legendre.leggauss(64)
_NODES: Final[check.FloatArray] = np.asarray(_legendre[0], dtype=np.float64)
_WEIGHTS: Final[check.FloatArray] = np.asarray(_legendre[1], dtype=np.float64)


@dataclass(frozen=True)
class Posterior:
    """Verdict of a normal posterior of an effect.

    Attributes:
        effect: posterior mean.
        interval: central credible interval.
        chance_to_win: P(effect > 0).
        loss_of_control: expected loss of keeping control, E max(effect, 0).
        loss_of_treatment: expected loss of choosing treatment, E max(-effect, 0).
    """

    effect: float
    interval: Interval
    chance_to_win: float
    loss_of_control: float
    loss_of_treatment: float


@dataclass(frozen=True)
class BetaComparison:
    """Verdict of two beta posteriors: P(treatment's rate is larger) and expected losses in rate."""

    chance_to_win: float
    loss_of_control: float
    loss_of_treatment: float


def normal_posterior(
    estimate: float,
    standard_error: float,
    *,
    prior_mean: float = 0.0,
    prior_deviation: float | None = None,
    alpha: float = 0.05,
) -> Posterior:
    """Return the posterior of an effect (absolute or lift) with a normal likelihood.

    Args:
        estimate: of the effect.
        standard_error: of the estimate.
        prior_mean: of a normal prior.
        prior_deviation: of that prior; None is a flat prior.
        alpha: one minus the level of the credible interval.

    Raises:
        ValueError: an argument is out of range.

    Source: Gelman et al., Bayesian Data Analysis, section 2.5; GrowthBook's risk.
    """
    mean, deviation = check.finite("estimate", estimate), check.positive("standard_error", standard_error)
    check.probability("alpha", alpha)
    check.finite("prior_mean", prior_mean)
    if prior_deviation is not None:
        data, prior = deviation**-2, check.positive("prior_deviation", prior_deviation) ** -2
        mean = (data * mean + prior * prior_mean) / (data + prior)
        deviation = (data + prior) ** -0.5
    z = mean / deviation
    gain = mean * normal_cdf(z) + deviation * normal_density(z)
    return Posterior(
        effect=mean,
        interval=symmetric_interval(mean, deviation, alpha),
        chance_to_win=normal_cdf(z),
        loss_of_control=gain,
        loss_of_treatment=max(0.0, gain - mean),
    )


def beta_comparison(
    control_successes: float,
    control_n: float,
    treatment_successes: float,
    treatment_n: float,
    *,
    prior_successes: float = 1.0,
    prior_failures: float = 1.0,
) -> BetaComparison:
    """Compare two rates with beta priors, by quadrature exact to about 1e-12.

    Args:
        control_successes: successes among control_n.
        control_n: units in control; 0 leaves the prior.
        treatment_successes: successes among treatment_n.
        treatment_n: units in treatment.
        prior_successes: first parameter of both priors; 1 and 1 is uniform.
        prior_failures: second parameter.

    Raises:
        ValueError: an argument is out of range.

    Source: Evan Miller, "Formulas for Bayesian A/B Testing"; Stucchi 2015 for the loss.
    """
    a0, b0 = check.positive("prior_successes", prior_successes), check.positive("prior_failures", prior_failures)
    x_c, n_c = _counts("control", control_successes, control_n)
    x_t, n_t = _counts("treatment", treatment_successes, treatment_n)
    a_c, b_c, a_t, b_t = a0 + x_c, b0 + n_c - x_c, a0 + x_t, b0 + n_t - x_t
    win = _beta_larger(a_t, b_t, a_c, b_c)
    mean_c, mean_t = a_c / (a_c + b_c), a_t / (a_t + b_t)
    # E[max(p_t - p_c, 0)]: weighting a beta density by p raises its first parameter by one.
    gain = mean_t * _beta_larger(a_t + 1, b_t, a_c, b_c) - mean_c * _beta_larger(a_t, b_t, a_c + 1, b_c)
    return BetaComparison(win, max(0.0, gain), max(0.0, gain - (mean_t - mean_c)))


def probability_best(posteriors: list[tuple[float, float]]) -> tuple[float, ...]:
    """Return for each arm the chance that its rate is the largest, from beta posteriors (a, b).

    These are the Thompson allocation weights; for reports and for traffic after the decision, not for stopping.

    Raises:
        ValueError: fewer than two arms or a parameter that is not positive.

    Source: Thompson 1933; Scott 2010 (randomised probability matching).
    """
    if len(posteriors) < 2:
        raise ValueError(f"posteriors has {len(posteriors)} arms: allowed are at least 2")
    arms = [
        (check.positive(f"posteriors[{i}][0]", a), check.positive(f"posteriors[{i}][1]", b))
        for i, (a, b) in enumerate(posteriors)
    ]
    best: list[float] = []
    for i, arm in enumerate(arms):
        nodes, weights = _beta_nodes(arm, [other for j, other in enumerate(arms) if j != i])
        others = np.ones_like(nodes)
        for j, (a_j, b_j) in enumerate(arms):
            if j != i:
                others = others * special.betainc(a_j, b_j, nodes)
        best.append(float(weights @ others))
    total = sum(best)
    return tuple(chance / total for chance in best)


def _beta_larger(a: float, b: float, a_other: float, b_other: float) -> float:
    """P(Beta(a, b) > Beta(a_other, b_other))."""
    nodes, weights = _beta_nodes((a, b), [(a_other, b_other)])
    return min(1.0, max(0.0, float(weights @ special.betainc(a_other, b_other, nodes))))


def _beta_nodes(
    arm: tuple[float, float], others: list[tuple[float, float]]
) -> tuple[check.FloatArray, check.FloatArray]:
    """Nodes and weights that integrate a function of rates against a beta density.

    The integral runs over the logit, where beta densities have exponential tails, in panels that end where
    the distributions of this and the other arms begin and end, so that a narrow one beside a wide one is seen.
    """
    a, b = arm
    centre, deviation = _logit_moments(a, b)
    reach = 9.0 * deviation + _TAIL / min(a, b)
    edges = [centre - reach, centre - 9.0 * deviation, centre, centre + 9.0 * deviation, centre + reach]
    for other in others:
        middle, width = _logit_moments(*other)
        edges += [middle - 9.0 * width, middle, middle + 9.0 * width]
    cuts = np.unique(np.clip(edges, centre - reach, centre + reach))
    half = 0.5 * np.diff(cuts)[:, None]
    logits = (cuts[:-1, None] + half * (1.0 + _NODES[None, :])).ravel()
    log_p, log_q = -np.logaddexp(0.0, -logits), -np.logaddexp(0.0, logits)
    log_density = a * log_p + b * log_q
    weights = (half * _WEIGHTS[None, :]).ravel() * np.exp(log_density - log_density.max())
    return np.exp(log_p), weights / weights.sum()


def _logit_moments(a: float, b: float) -> tuple[float, float]:
    """Mean and standard deviation of the logit of a beta variable."""
    mean = float(special.digamma(a) - special.digamma(b))
    return mean, math.sqrt(float(special.polygamma(1, a) + special.polygamma(1, b)))


def _counts(arm: str, successes: float, n: float) -> tuple[int, int]:
    size = check.whole(f"{arm}_n", n)
    hits = check.whole(f"{arm}_successes", successes)
    if hits > size:
        raise ValueError(f"{arm}_successes={hits}: allowed is a whole number from 0 to {arm}_n={size}")
    return hits, size
