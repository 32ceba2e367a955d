"""Power, expected size, futility and estimates after stopping, against simulation and known limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.experiments.boundaries import obrien_fleming_boundaries, spending_boundaries
from ml.experiments.characteristics import design_pass, efficiency, expected_sample_size, sequential_characteristics
from ml.experiments.futility import conditional_power, futility_boundaries, predictive_power
from ml.experiments.stopping import estimate_after_stopping

FIXED_DRIFT = 2.801585218  # z(0.975) + z(0.8)


def simulated_scores(drift: float, looks: int, runs: int, seed: int) -> np.ndarray:
    steps = np.random.default_rng(seed).standard_normal((runs, looks)) * math.sqrt(1 / looks) + drift / looks
    return np.cumsum(steps, axis=1)


def test_power_and_size_equal_simulation_when_an_effect_exists() -> None:
    bounds = obrien_fleming_boundaries(5)
    exact = sequential_characteristics(np.arange(1, 6), bounds, 2.5)
    t = np.arange(1, 6) / 5
    z = simulated_scores(2.5, 5, 200_000, 1) / np.sqrt(t)
    out = np.abs(z) >= bounds
    first = np.where(out.any(axis=1), out.argmax(axis=1), 4)
    won = (z[np.arange(z.shape[0]), first] >= np.array(bounds)[first]) & out.any(axis=1)
    assert won.mean() == pytest.approx(exact.power, abs=0.004)
    assert t[first].mean() == pytest.approx(exact.expected_fraction, abs=0.003)
    assert sum(exact.stop_probability) == pytest.approx(1.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.floats(0.0, 5.0), st.floats(0.0, 5.0))
def test_power_grows_when_the_effect_grows(looks: int, a: float, b: float) -> None:
    run = design_pass(np.arange(1, looks + 1), obrien_fleming_boundaries(looks))
    low, high = sorted((a, b))
    assert run.characteristics(low).power <= run.characteristics(high).power + 1e-12


def test_efficiency_of_a_single_look_is_one_when_compared_with_itself() -> None:
    result = efficiency([1.0], [1.959963985])
    assert (result.inflation, result.expected_under_alternative) == pytest.approx((1.0, 1.0), abs=1e-6)
    assert result.power_at_fixed_size == pytest.approx(0.8, abs=1e-6)


def test_expected_size_at_the_planned_effect_equals_efficiency_when_asked_both_ways() -> None:
    bounds = [look.boundary for look in spending_boundaries(np.arange(1, 31))]
    assert expected_sample_size(np.arange(1, 31), bounds, [0.0, 1.0]) == pytest.approx(
        (
            efficiency(np.arange(1, 31), bounds).expected_under_null,
            efficiency(np.arange(1, 31), bounds).expected_under_alternative,
        )
    )


@pytest.mark.parametrize("binding", [False, True])
def test_futility_design_has_its_error_and_power_when_simulated(binding: bool) -> None:
    design = futility_boundaries([1, 2, 3, 4], alpha=0.025, power=0.9, binding=binding)
    t = np.array(design.fractions)
    results: list[float] = []
    for drift in (0.0, design.drift):
        z = simulated_scores(drift, 4, 200_000, 2) / np.sqrt(t)
        alive, won = np.ones(z.shape[0], dtype=bool), np.zeros(z.shape[0], dtype=bool)
        for k in range(4):
            won |= alive & (z[:, k] >= design.upper[k])
            alive &= (z[:, k] < design.upper[k]) & (z[:, k] > design.lower[k])
        results.append(float(won.mean()))
    assert results[0] <= 0.025 + 0.0012
    assert results[1] == pytest.approx(0.9, abs=0.003)
    assert design.lower[-1] == design.upper[-1]


def test_binding_futility_needs_fewer_units_when_obeyed() -> None:
    looks = [1, 2, 3, 4, 5]
    assert futility_boundaries(looks, binding=True).inflation < futility_boundaries(looks).inflation


def test_conditional_power_equals_simulation_when_the_drift_is_given() -> None:
    rng = np.random.default_rng(3)
    end = 1.2 * math.sqrt(0.4) + rng.normal(2.0 * 0.6, math.sqrt(0.6), 400_000)
    assert conditional_power(1.2, 0.4, drift=2.0) == pytest.approx(float((end > 1.959964).mean()), abs=0.003)


def test_predictive_power_lies_between_when_trend_and_null_are_the_ends() -> None:
    assert conditional_power(1.8, 0.5, drift=0.0) < predictive_power(1.8, 0.5) < conditional_power(1.8, 0.5)


@pytest.mark.slow
def test_stage_wise_interval_covers_and_median_is_unbiased_when_simulated() -> None:
    looks, drift = 4, 2.0
    bounds = obrien_fleming_boundaries(looks)
    t = np.arange(1, looks + 1) / looks
    rng = np.random.default_rng(5)
    covered, above, naive = 0, 0, 0.0
    runs = 600
    for _ in range(runs):
        scores = np.cumsum(rng.standard_normal(looks) * math.sqrt(1 / looks) + drift / looks)
        z = scores / np.sqrt(t)
        out = np.flatnonzero(np.abs(z) >= bounds)
        k = int(out[0]) if out.size else looks - 1
        result = estimate_after_stopping(t[: k + 1], bounds[: k + 1], scores[k] / t[k])
        covered += result.interval.contains(drift)
        above += result.median_unbiased > drift
        naive += result.naive_estimate - drift
        assert result.interval.low <= result.median_unbiased <= result.interval.high
    assert covered / runs == pytest.approx(0.95, abs=0.03)
    assert above / runs == pytest.approx(0.5, abs=0.06)
    assert naive / runs > 0.05  # the plain estimate overstates


def test_stage_wise_estimate_is_the_plain_one_when_there_was_one_look() -> None:
    result = estimate_after_stopping([4.0], [1.96], 1.5)
    assert result.median_unbiased == pytest.approx(1.5, abs=1e-6)
    assert result.interval == pytest.approx((1.5 - 1.959964 / 2, 1.5 + 1.959964 / 2), abs=1e-5)
