"""What an experiment collects in its time, held against the statistics that will read it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.controller.feasibility import Growth, smallest_effect, traffic_of
from ml.experiments.history import EpochRecord, History
from ml.experiments.measured import Measurements
from ml.experiments.planning import required_n
from ml.experiments.ramp import weights_at
from ml.experiments.ratio import proportion_sums
from ml.experiments.specification import ExperimentSpec, PrimaryMetric, Ramp

PROPORTION = PrimaryMetric(name="converted", better="increase", minimum_effect=0.001, baseline=0.1)
UNITS_PER_DAY = 86_400_000.0


def specification(
    shares: tuple[float, ...] = (0.5,), ramp: Ramp | None = None, total_weight: int = 1000
) -> ExperimentSpec:
    return ExperimentSpec(
        control="stable",
        treatments=("candidate-a", "candidate-b")[: len(shares)],
        shares=shares,
        primary=PROPORTION,
        planned_n=1000,
        ramp=ramp or Ramp(seconds=0.0),
        total_weight=total_weight,
    )


SPECIFICATIONS = [
    specification(),
    specification((0.1,)),
    specification((0.5,), Ramp(seconds=600.0, steps=60)),
    specification((0.3, 0.2), Ramp(seconds=300.0, steps=7)),
    specification((0.5,), Ramp(seconds=600.0, steps=60), total_weight=700),
]


def lived_through(spec: ExperimentSpec, seconds: int) -> History:
    """What the controller would have recorded, with one user per millisecond."""
    records: list[EpochRecord] = []
    starts = [second for second in range(seconds) if not second or _weights(spec, second) != _weights(spec, second - 1)]
    for start, end in zip(starts, [*starts[1:], seconds], strict=True):
        units = {arm: (end - start) * weight for arm, weight in _weights(spec, start).items()}
        sums = {arm: proportion_sums(n // 10, n) for arm, n in units.items()}
        records.append(
            EpochRecord(
                started_at=float(start), weights=_weights(spec, start), units=units, metrics={"converted": sums}
            )
        )
    return History(started_at=0.0, epochs=tuple(records), last_data_at=float(seconds))


def _weights(spec: ExperimentSpec, second: int) -> dict[str, int]:
    return dict(weights_at(spec, second + 0.5))


@pytest.mark.parametrize("spec", SPECIFICATIONS)
@pytest.mark.parametrize("seconds", [60, 599, 2000])
def test_information_is_what_the_test_will_find_when_time_has_passed(spec: ExperimentSpec, seconds: int) -> None:
    data = Measurements(lived_through(spec, seconds))
    effects = [data.effect("converted", "stable", arm) for arm in spec.treatments]
    traffic = traffic_of(spec, UNITS_PER_DAY)
    assert traffic.information_after(seconds) == pytest.approx(min(e.units_per_arm for e in effects), rel=0.02)
    assert traffic.smallest_arm_after(seconds) == pytest.approx(min(e.smallest_n for e in effects), rel=0.02)


@given(
    st.lists(st.floats(0.001, 1e6), min_size=1, max_size=20),
    st.floats(0.1, 1e4),
    st.floats(0.0, 1e7),
)
def test_time_and_amount_are_inverse_when_a_quantity_grows(slopes: list[float], length: float, seconds: float) -> None:
    growth = Growth(tuple(slopes), length)
    assert growth.time_to(growth.after(seconds)) == pytest.approx(seconds, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("spec", SPECIFICATIONS)
def test_sample_is_there_in_the_needed_time_and_not_before_when_computed(spec: ExperimentSpec) -> None:
    traffic = traffic_of(spec, UNITS_PER_DAY)
    seconds = traffic.seconds_needed(100_000, 90_000)
    assert traffic.information_after(seconds) >= 100_000 * (1 - 1e-9)
    assert traffic.smallest_arm_after(seconds) >= 90_000 * (1 - 1e-9)
    before = seconds * 0.999
    assert traffic.information_after(before) < 100_000 or traffic.smallest_arm_after(before) < 90_000


@given(st.floats(0.01, 0.99), st.sampled_from(["increase", "decrease"]), st.integers(10, 10**7))
def test_smallest_effect_fits_and_a_smaller_one_does_not_when_found(baseline: float, better: str, units: int) -> None:
    metric = PrimaryMetric(
        name="m", better="increase" if better == "increase" else "decrease", minimum_effect=1e-5, baseline=baseline
    )
    size = required_n(metric)
    effect = smallest_effect(metric, size, 0.025, 0.8, units)
    if effect is None:
        return
    assert required_n(_with(metric, effect)).required_n <= units
    if effect > 2e-5:
        assert required_n(_with(metric, effect * 0.98)).required_n > units


def test_smallest_effect_is_none_when_even_the_largest_needs_more() -> None:
    assert smallest_effect(PROPORTION, required_n(PROPORTION), 0.025, 0.8, 3) is None


def test_smallest_effect_scales_with_the_deviation_when_the_metric_is_a_mean() -> None:
    metric = PrimaryMetric(name="m", better="increase", minimum_effect=0.01, baseline=5.0, standard_deviation=2.0)
    effect = smallest_effect(metric, required_n(metric), 0.025, 0.8, 10_000)
    assert effect is not None
    # 2 (z sd / effect)^2 * inflation = units
    exact = 2.0 * (0.841621 + 1.959964) * math.sqrt(2.0 * required_n(metric).inflation / 10_000)
    assert effect == pytest.approx(exact, rel=0.01)


def _with(metric: PrimaryMetric, effect: float) -> PrimaryMetric:
    return PrimaryMetric(name=metric.name, better=metric.better, minimum_effect=effect, baseline=metric.baseline)
