"""One primary, five guardrails, sample ratio and three treatments together: all false claims within alpha.

Scores of the metrics are simulated as correlated normal walks (what sums of users are after the first
thousand), assignment as real multinomial counts. Boundaries, budgets and tests are those of `decide`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special

from bench.simulate.report import Line, at_most
from ml.experiments.looks import spending_path
from ml.experiments.mixtures import best_rho, mixture_boundary
from ml.experiments.planning import required_n
from ml.experiments.specification import ExperimentSpec, Guardrail, PrimaryMetric
from ml.experiments.srm import TILTS
from ml.experiments.validation import BoolArray, FloatArray

LOOKS = 120
GUARDRAILS = 5


def specification(treatments: int) -> ExperimentSpec:
    """Three treatments, five guardrails; a mean with standard deviation 1."""
    primary = PrimaryMetric(name="gain", better="increase", minimum_effect=0.05, baseline=0.0, standard_deviation=1.0)
    return ExperimentSpec(
        control="stable",
        treatments=tuple(f"candidate-{k}" for k in range(treatments)),
        shares=(0.99 / (treatments + 1),) * treatments,
        primary=primary,
        planned_n=required_n(primary, treatments=treatments).required_n,
        guardrails=tuple(Guardrail(name=f"guardrail-{k}", harmful="increase") for k in range(GUARDRAILS)),
    )


@dataclass(frozen=True)
class Claims:
    """Per run: any promotion, any rollback, assignment called broken, and promotion by the primary alone."""

    promoted: BoolArray
    rolled_back: BoolArray
    invalid: BoolArray
    promoted_alone: BoolArray


def simulate(spec: ExperimentSpec, correlation: float, runs: int, seed: int, effect: float = 0.0) -> Claims:
    """Simulate experiments; `effect` is that of the first treatment on the primary, in standard deviations."""
    rng = np.random.default_rng(seed)
    arms, metrics = len(spec.treatments), 1 + GUARDRAILS
    n_look = spec.planned_n / LOOKS
    fractions = tuple((k + 1) / LOOKS for k in range(LOOKS))
    taken = tuple(t for t in fractions if t * spec.planned_n >= spec.minimum_n)
    bounds = dict(
        zip(
            taken,
            (look.boundary for look in spending_path(spec.spending, spec.promotion_alpha, taken).looks),
            strict=True,
        )
    )
    alpha = spec.rollback_alpha(1.0)
    rho = best_rho(max(float(spec.minimum_n), spec.planned_n / 4.0), alpha, sides=1)
    sums = np.zeros((arms + 1, metrics, runs))
    units = np.zeros((arms + 1, runs))
    alive = np.ones((arms, runs), dtype=bool)
    promoted, alone, rolled, invalid = (np.zeros(runs, dtype=bool) for _ in range(4))
    for t in fractions:
        shared = math.sqrt(correlation * n_look) * rng.standard_normal((arms + 1, 1, runs))
        sums += shared + math.sqrt((1.0 - correlation) * n_look) * rng.standard_normal((arms + 1, metrics, runs))
        sums[1, 0] += effect * n_look
        units += rng.multinomial(int(n_look * (arms + 1)), [1.0 / (arms + 1)] * (arms + 1), runs).T
        n = t * spec.planned_n
        if n < spec.minimum_n:
            continue
        running = ~(promoted | invalid)
        invalid |= running & ratio_broken(units, spec.sample_ratio_alpha)
        z = (sums[1:] - sums[:1]) / math.sqrt(2.0 * n)
        edge = mixture_boundary(n, alpha, rho, sides=1) / math.sqrt(n)
        harmed = (z[:, 1:] > edge).any(axis=1) | (-z[:, 0] > edge)
        rolled |= running & ~invalid & (harmed & alive).any(axis=0)
        alive &= ~harmed
        better = z[:, 0] >= bounds[t]
        promoted |= running & ~invalid & (better & alive).any(axis=0)
        alone |= better.any(axis=0)
    return Claims(promoted, rolled, invalid, alone)


def ratio_broken(units: FloatArray, alpha: float) -> BoolArray:
    """The sequential sample ratio test for many runs at once, equal weights."""
    tilts = np.array(TILTS)
    share, total = 1.0 / units.shape[0], units.sum(axis=0)
    ratio = units[:, None, :] * tilts[None, :, None] - total * np.log1p(share * np.expm1(tilts))[None, :, None]
    evidence = special.logsumexp(ratio, axis=(0, 1)) - math.log(units.shape[0] * tilts.size)
    return np.asarray(evidence >= -math.log(alpha), dtype=np.bool_)


def lines(runs: int, seed: int) -> Iterator[Line]:
    """Yield the family-wise error and the power lost to the family, per correlation."""
    spec = specification(3)
    for correlation in (0.0, 0.5, 0.9):
        null = simulate(spec, correlation, runs, seed)
        any_claim = int((null.promoted | null.rolled_back | null.invalid).sum())
        beside = (
            f"promotion {null.promoted.mean():.4f}, rollback {null.rolled_back.mean():.4f}, "
            f"ratio {null.invalid.mean():.4f}"
        )
        yield at_most(
            f"3 treatments, primary + 5 guardrails + ratio, correlation {correlation}: any false claim",
            any_claim,
            runs,
            spec.alpha,
            beside,
        )
        real = simulate(spec, correlation, runs, seed + 1, effect=spec.primary.minimum_effect)
        power, single = float(real.promoted.mean()), float(real.promoted_alone.mean())
        loss = 1.0 - power / single
        yield Line(
            f"the same, correlation {correlation}: power lost against the primary alone",
            loss,
            math.sqrt(power * (1 - power) / runs),
            "<= 0.10",
            loss <= 0.10,
            f"power {power:.3f} of {single:.3f}; a single arm planned for 0.8",
        )
