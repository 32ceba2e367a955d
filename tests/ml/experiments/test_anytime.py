"""Anytime-valid methods: boundaries, coverage while watched throughout, exactness at small counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ml.experiments import (
    bernoulli_sequences,
    mixtures,
    rates,
    sequential_quantiles,
)

counts = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
alphas = st.sampled_from([0.01, 0.05, 0.2])
FAST = settings(max_examples=60, deadline=None)
samples = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=40)


@FAST
@given(st.floats(-3.0, 3.0), st.floats(0.01, 2.0), st.integers(10, 100_000), st.floats(100, 50_000), alphas)
def test_sequence_rejects_exactly_when_the_interval_leaves_out_zero(
    estimate: float, error: float, n: int, tuned: float, alpha: float
) -> None:
    for alternative in ("two-sided", "greater", "less"):
        result = mixtures.confidence_sequence(estimate, error, n, tuned_for=tuned, alpha=alpha, alternative=alternative)
        assert result.interval.contains(estimate)
        assume(abs(result.p_value - alpha) > 1e-9)
        assert (result.p_value < alpha) == (not result.interval.contains(0.0))
    fixed = 1.959964 * error
    assert mixtures.confidence_sequence(estimate, error, n, tuned_for=tuned).interval.high - estimate > fixed


@FAST
@given(st.floats(0.1, 1e5), st.floats(0.1, 1e4), alphas)
def test_mixture_boundary_grows_and_one_side_is_lower_when_time_passes(v: float, rho: float, alpha: float) -> None:
    for sides in (1, 2):
        assert mixtures.mixture_boundary(v, alpha, rho, sides=sides) < mixtures.mixture_boundary(
            1.1 * v, alpha, rho, sides=sides
        )
        bound = mixtures.mixture_boundary(v, alpha, rho, sides=sides)
        assert mixtures.log_mixture(bound, v, rho, sides=sides) == pytest.approx(-math.log(alpha), abs=1e-8)
    assert mixtures.mixture_boundary(v, alpha, rho, sides=1) <= mixtures.mixture_boundary(v, alpha, rho, sides=2)


def test_bernoulli_sequence_covers_at_all_times_when_watched_throughout() -> None:
    rng = np.random.default_rng(7)
    missed = 0
    for _ in range(200):
        x = np.cumsum(rng.uniform(size=400) < 0.1)
        evidence = [bernoulli_sequences.bernoulli_log_evidence(x[n - 1], n, 0.1, 20.0) for n in range(5, 401, 5)]
        missed += max(evidence) >= math.log(1 / 0.1)
    assert missed / 200 <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / 200)


def test_difference_sequence_holds_the_truth_when_counts_are_tiny() -> None:
    interval = bernoulli_sequences.difference_confidence_sequence(0, 5, 1, 5, tuned_for=100)
    assert interval.contains(0.2)
    assert interval.contains(0.0)


@pytest.mark.slow
def test_quantile_sequence_covers_when_watched_throughout() -> None:
    rng = np.random.default_rng(8)
    missed = 0
    for _ in range(100):
        x = rng.exponential(size=600)
        missed += any(
            not sequential_quantiles.quantile_confidence_sequence(x[:n], 0.9, tuned_for=300, alpha=0.1).contains(
                math.log(10)
            )
            for n in range(30, 601, 30)
        )
    assert missed / 100 <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / 100)


@pytest.mark.slow
def test_rate_test_is_exact_when_rates_are_equal_and_weights_change() -> None:
    rng = np.random.default_rng(9)
    alarms = 0
    for _ in range(300):
        epochs: list[rates.EventCounts] = []
        alarmed = False
        for weight in (0.02, 0.1, 0.3, 0.5, 0.5, 0.5):
            events = rng.poisson(20)
            t = rng.binomial(events, weight)
            epochs.append(rates.EventCounts(weight, events - t, t))
            alarmed |= rates.sequential_rate_test(epochs).p_value <= 0.1
        alarms += alarmed
    assert alarms / 300 <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / 300)
    tripled = rates.sequential_rate_test([rates.EventCounts(0.5, 30, 90)])
    assert tripled.p_value < 1e-5
    assert 1.5 < tripled.lower_bound < 3.0 == tripled.rate_ratio
