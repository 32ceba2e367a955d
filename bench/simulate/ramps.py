"""Ramps with drifting baselines: no bias, no reversed sign; sample ratio per epoch: no false alarm, leaks found."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.simulate.draws import binomial
from bench.simulate.report import Line, at_least, at_most
from ml.experiments.ratio import compare_ratios, proportion_sums
from ml.experiments.srm import Epoch, sequential_epoch_sample_ratio_test
from ml.experiments.strata import Stratum, mantel_haenszel
from ml.experiments.validation import FloatArray

ALPHA = 0.05
EFFECT = 0.02


def random_ramp(rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shares of treatment that grow, users per epoch, and a baseline that drifts."""
    epochs = int(rng.integers(2, 40))
    shares = np.sort(rng.uniform(0.01, 0.6, epochs))
    users = rng.integers(200, 20_000, epochs).astype(np.float64)
    drift = np.clip(0.2 + np.cumsum(rng.normal(0.0, 0.04, epochs)), 0.05, 0.6)
    return shares, users, drift


def ramp_errors(rng: np.random.Generator) -> tuple[float, float, bool]:
    """Standardised error of the stratified and of the pooled estimate, and whether the stratified sign is right."""
    shares, users, drift = random_ramp(rng)
    strata: list[Stratum] = []
    for share, n, base in zip(shares.tolist(), users.tolist(), drift.tolist(), strict=True):
        treated = binomial(rng, int(n), share)
        untreated = int(n) - treated
        strata.append(
            Stratum(
                control=proportion_sums(binomial(rng, untreated, base), untreated),
                treatment=proportion_sums(binomial(rng, treated, base + EFFECT), treated),
            )
        )
    effect = mantel_haenszel(strata)
    control = sum((s.control for s in strata[1:]), strata[0].control)
    treatment = sum((s.treatment for s in strata[1:]), strata[0].treatment)
    pooled = compare_ratios(control, treatment)
    # Noise alone may flip a sign when the effect is within its error; a ramp never may.
    right = effect.difference > 0 or effect.standard_error > EFFECT / 4
    return (
        (effect.difference - EFFECT) / effect.standard_error,
        (pooled.estimate - EFFECT) / pooled.standard_error,
        right,
    )


def ratio_alarm(rng: np.random.Generator, leak: float, users: int, alpha: float) -> tuple[bool, bool]:
    """Whether the sequential test over a ramp ever alarms, and whether pooling against present weights would."""
    shares = np.linspace(0.05, 0.5, 40) if leak == 0.0 else np.full(40, 0.5)
    per_epoch = users // 40
    epochs: list[Epoch] = []
    seen = np.zeros(2)
    alarmed = pooled = False
    for share in shares.tolist():
        odds = share / (1.0 - share) * np.exp(leak)
        treated = binomial(rng, per_epoch, odds / (1.0 + odds))
        epochs.append(Epoch([1.0 - share, share], [per_epoch - treated, treated]))
        alarmed |= sequential_epoch_sample_ratio_test(epochs).p_value <= alpha
        seen += [per_epoch - treated, treated]
        expected = seen.sum() * np.array([1.0 - share, share])
        pooled |= float(((seen - expected) ** 2 / expected).sum()) > 3.841
    return alarmed, pooled


def lines(runs: int, seed: int) -> Iterator[Line]:
    """Yield bias, signs, false alarms and detection."""
    rng = np.random.default_rng(seed)
    ramps = max(200, min(1_000, runs))
    errors = [ramp_errors(rng) for _ in range(ramps)]
    bias, pooled = float(np.mean([e[0] for e in errors])), float(np.mean([e[1] for e in errors]))
    yield Line(
        f"{ramps} random ramps with drifting baselines: |bias| in standard errors",
        abs(bias),
        1.0 / ramps**0.5,
        "<= 0.1",
        abs(bias) <= 0.1,
        f"pooled means {pooled:.2f}",
    )
    wrong = sum(not e[2] for e in errors)
    yield Line(f"{ramps} random ramps: signs reversed", float(wrong), 0.0, "0", wrong == 0)
    alarms = [ratio_alarm(rng, 0.0, 20_000, ALPHA) for _ in range(runs)]
    beside = f"pooled against present weights {sum(b for _, b in alarms) / runs:.3f}"
    yield at_most("sample ratio over a ramp of 40 epochs: false alarms", sum(a for a, _ in alarms), runs, ALPHA, beside)
    for alpha in (0.05, 0.005):
        hits = sum(ratio_alarm(rng, float(np.log(52 / 48)), 20_000, alpha)[0] for _ in range(max(200, runs // 4)))
        yield at_least(f"52/48 leak found by 20,000 users at alpha {alpha}", hits, max(200, runs // 4), 0.9)
