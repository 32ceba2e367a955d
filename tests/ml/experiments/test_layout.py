"""Nobody changes from one treatment to another, whatever a ramp, a rollback or a promotion does to the weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.contracts.abtest import AbTestSpec
from ml.experiments.assignment import place
from ml.experiments.layout import homes, laid_out, stretches
from ml.experiments.specification import TOTAL_WEIGHT

_HASHES = np.arange(TOTAL_WEIGHT, dtype=np.uint64)


def spec(shares: list[float], holdout: float = 0.0) -> AbTestSpec:
    arms = [{"slot": f"slot-{index}", "weightPercent": share} for index, share in enumerate(shares)]
    arms[0]["slot"] = "stable"
    primary = {"name": "converted", "baseline": 0.1, "minimumEffect": 0.02}
    document = {"model": "a_model", "arms": arms, "primary": primary, "holdoutPercent": holdout, "ramp": {"steps": 100}}
    return AbTestSpec.model_validate(document)


def slots_of_users(weights: Mapping[str, int], home_of: Mapping[str, int]) -> list[str]:
    """Return where a user with each of the possible hashes goes."""
    layout = laid_out(weights, home_of)
    assert {slot for slot, _ in layout} == set(weights)
    for slot, weight in weights.items():
        assert sum(part for other, part in layout if other == slot) == weight
    return [layout[index][0] for index in place(_HASHES, [weight for _, weight in layout])]


def shares_of(counts: list[int]) -> list[float]:
    return [100.0 * count / sum(counts) for count in counts]


def test_destinations_are_control_and_treatment_when_there_is_one_treatment() -> None:
    for weight in (0, 1, 499, 500, 900, 1000):
        layout = laid_out({"stable": 1000 - weight, "slot-1": weight}, homes(spec([50, 50])))
        assert layout == (("stable", 1000 - weight), ("slot-1", weight))


def test_slot_outside_the_experiment_has_no_place_when_arms_are_laid_out() -> None:
    weights = {"stable": 900, "other": 0, "slot-1": 100}
    assert laid_out(weights, {"slot-1": 500}) == (("stable", 900), ("other", 0), ("slot-1", 100))


def test_order_stays_when_control_is_not_the_first() -> None:
    weights = {"slot-1": 10, "stable": 980, "slot-2": 10}
    assert laid_out(weights, {"slot-1": 300, "slot-2": 300}) == tuple(weights.items())


def test_control_stands_between_treatments_when_there_are_two() -> None:
    home_of = homes(spec([40, 30, 30]))
    begun = laid_out({"stable": 980, "slot-1": 10, "slot-2": 10}, home_of)
    assert begun == (("stable", 690), ("slot-1", 10), ("stable", 290), ("slot-2", 10))
    final = laid_out({"stable": 400, "slot-1": 300, "slot-2": 300}, home_of)
    assert final == (("stable", 400), ("slot-1", 300), ("slot-2", 300))
    promoted = laid_out({"stable": 0, "slot-1": 0, "slot-2": 1000}, home_of)
    assert stretches(promoted) == (("slot-2", 1000),)
    over = laid_out({"stable": 1000, "slot-1": 0, "slot-2": 0}, home_of)
    assert over == (("stable", 1000), ("slot-1", 0), ("slot-2", 0))


@given(
    counts=st.lists(st.integers(1, 20), min_size=2, max_size=8),
    holdout=st.integers(0, 50),
    paths=st.lists(st.lists(st.floats(0, 1), min_size=7, max_size=7), min_size=2, max_size=6),
)
def test_users_move_between_control_and_one_treatment_only_when_weights_change(
    counts: list[int], holdout: int, paths: list[list[float]]
) -> None:
    """Each treatment's weight goes its own way between 0 and its final share: ramps, rollbacks, slots not ready."""
    home_of = homes(spec(shares_of(counts), float(holdout)))
    met: list[set[str]] = [set() for _ in range(TOTAL_WEIGHT)]
    before: tuple[list[str], Mapping[str, int]] | None = None
    for path in paths:
        treated = {slot: int(home * part) for (slot, home), part in zip(home_of.items(), path, strict=False)}
        weights = {"stable": TOTAL_WEIGHT - sum(treated.values()), **treated}
        now = slots_of_users(weights, home_of)
        for user, slot in enumerate(now):
            met[user].add(slot)
            if before is not None and weights.get(before[0][user], 0) >= before[1][before[0][user]]:
                assert slot == before[0][user] or before[0][user] == "stable"
        assert all(slot == "stable" for slot in now[: holdout * 10])
        before = (now, weights)
    assert all(len(slots - {"stable"}) <= 1 for slots in met)


@pytest.mark.parametrize("weights", [{"stable": 1000}, {"stable": 0, "slot-1": 1000}])
def test_everybody_has_a_slot_when_one_has_all_of_the_weight(weights: Mapping[str, int]) -> None:
    assert len(set(slots_of_users(weights, homes(spec([50, 50]))))) == 1
