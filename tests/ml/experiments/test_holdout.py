"""Users that are held out meet control and are not counted; the shares of the others stay exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.experiments.decision import decide
from ml.experiments.ramp import all_to, gateway_weights, net_weights, weights_at
from ml.experiments.specification import TOTAL_WEIGHT, ExperimentSpec, Ramp
from tests.ml.experiments.deciding import epoch, history, same, specification

HELD_OUT = specification(total_weight=900, ramp=Ramp(seconds=100.0, steps=10))


def test_weights_sum_to_the_counted_share_when_users_are_held_out() -> None:
    assert weights_at(HELD_OUT, 1000.0) == {"stable": 450, "candidate-a": 450}
    assert all_to(HELD_OUT, "candidate-a") == {"stable": 0, "candidate-a": 900}


def test_gateway_sends_held_out_users_to_control_when_weights_are_written() -> None:
    assert gateway_weights(HELD_OUT, {"stable": 450, "candidate-a": 450}) == {"stable": 550, "candidate-a": 450}


def test_gateway_says_nothing_about_counted_users_when_control_has_no_room() -> None:
    assert net_weights(HELD_OUT, {"stable": 0, "candidate-a": 1000}) is None


@given(st.integers(2, TOTAL_WEIGHT), st.floats(0.0, 200.0))
def test_weights_are_the_same_when_written_and_read_back(total: int, elapsed: float) -> None:
    spec = specification(total_weight=total, ramp=Ramp(seconds=100.0, steps=10))
    weights = weights_at(spec, elapsed)
    written = gateway_weights(spec, weights)
    assert sum(written.values()) == TOTAL_WEIGHT
    assert net_weights(spec, written) == weights


def test_assignment_is_sound_when_control_serves_held_out_users_that_are_not_counted() -> None:
    """100,000 users, a tenth of them held out: the others are split evenly, which the ratio test must see."""
    rates = {"conversion": same(0.05), "errors": same(0.01)}
    spec = specification(total_weight=900, planned_n=1_000_000)
    seen = history(epoch(45_000, rates, {"stable": 450, "candidate-a": 450}))
    decision = decide(spec, seen, 600.0)
    assert decision.action == "continue"
    assert decision.sample_ratio is not None
    assert decision.sample_ratio.p_value == 1.0


@pytest.mark.parametrize("total", [1, 0, -5, 1001])
def test_specification_is_refused_when_no_whole_share_is_counted(total: int) -> None:
    with pytest.raises(ValueError, match="total_weight"):
        specification(total_weight=total)


def test_stored_specification_without_the_field_counts_everybody_when_read() -> None:
    assert ExperimentSpec.__dataclass_fields__["total_weight"].default == TOTAL_WEIGHT
