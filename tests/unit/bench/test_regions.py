"""The simulation of regions: its autoscaler keeps its rules, its traffic is what it says, a seed repeats it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.regions import simulate
from bench.regions.capacity import Scaler, pods_over_time
from bench.regions.traffic import STEP_SECONDS, STEPS, Traffic, requests_per_second

SCALER = Scaler()
LATE = round(SCALER.late_seconds / STEP_SECONDS)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60))
def test_pods_stay_within_their_bounds_when_the_load_does_anything(load: list[float]) -> None:
    pods = pods_over_time(np.array([load]), SCALER)
    assert ((pods >= SCALER.minimum) & (pods <= SCALER.maximum)).all()
    assert (np.diff(pods[0]) >= -1).all()


@given(st.floats(0, 30))
def test_pods_are_the_fewest_that_bear_it_when_the_load_is_steady(load: float) -> None:
    pods = pods_over_time(np.full((1, 100), load), SCALER)[0]
    assert len(set(pods)) == 1
    assert pods[0] * SCALER.used_share >= min(load, SCALER.maximum * SCALER.used_share)
    assert (pods[0] - 1) * SCALER.used_share < load or pods[0] == SCALER.minimum


def test_pods_come_a_minute_after_the_load_and_leave_slowly_when_it_is_a_burst() -> None:
    load = np.concatenate([np.full(50, 1.0), np.full(40, 7.0), np.full(200, 1.0)])
    pods = pods_over_time(load[None, :], SCALER)[0]
    assert (pods[: 50 + LATE] == 2).all()
    assert pods[50 + LATE] == 10
    calm = round(SCALER.calm_seconds / STEP_SECONDS)
    assert (pods[50 + LATE : 90 + calm] == 10).all()
    assert pods[-1] == 2


def test_traffic_has_its_peak_where_it_is_said_when_summed() -> None:
    traffic = Traffic(models=200, peak_per_second=1_000.0, peak_hour=6.0)
    rates = requests_per_second(traffic, np.random.default_rng(3))
    total = rates.sum(axis=0)
    assert rates.shape == (200, STEPS)
    assert (rates > 0).all()
    hours = np.arange(STEPS) * STEP_SECONDS / 3_600
    centre = np.angle(np.sum(total * np.exp(2j * np.pi * hours / 24))) * 24 / (2 * np.pi)
    assert centre == pytest.approx(6.0, abs=1.0)
    assert total.max() == pytest.approx(1_000.0, rel=0.5)


def test_day_is_the_same_when_the_seed_is_and_hardly_anybody_waits_when_pods_follow_it() -> None:
    day = simulate(4)
    assert day == simulate(4)
    assert 0 < day.waiting_share < 0.01
