"""Candidates that fail, or are too slow, or are wrong every time: nothing varies, and that must not hide the harm."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.ml.controller.core.simulated_model import Arm
from tests.ml.controller.core.test_endings import check_record
from tests.ml.controller.core.world import World

GAIN = 0.6
"""Conversion of a candidate that would be promoted if it did no harm."""


def ended(control: Arm, **candidate: float) -> World:
    world = World(("stable", control), ("candidate-a", replace(Arm(version=5), **candidate)))  # pyright: ignore[reportArgumentType] only rates are given
    world.create()
    world.run_to_end()
    check_record(world)
    return world


@pytest.mark.parametrize("share", [0.999, 1.0])
@pytest.mark.parametrize(("rate", "metric"), [("slow", "latency"), ("fails", "errors")])
def test_candidate_is_rolled_back_when_nearly_all_its_requests_do_harm(rate: str, metric: str, share: float) -> None:
    world = ended(Arm(version=4), converts=GAIN, **{rate: share})
    assert world.state().phase == "RolledBack"
    assert metric in {reason["metric"] for reason in world.state().decision["reasons"]}
    assert world.champion_moves == []


def test_candidate_is_rolled_back_when_it_is_always_wrong_and_control_never_is() -> None:
    world = ended(Arm(version=4, correct=1.0), correct=0.0, converts=GAIN)
    assert world.state().phase == "RolledBack"
    assert [reason["metric"] for reason in world.state().decision["reasons"]] == ["correct"]


@pytest.mark.parametrize(("converts", "phase"), [(GAIN, "Promoted"), (0.5, "Inconclusive")])
def test_candidate_is_judged_by_its_primary_when_nobody_ever_fails(converts: float, phase: str) -> None:
    sound = {"correct": 1.0, "fails": 0.0, "slow": 0.0}
    world = ended(replace(Arm(version=4), **sound), converts=converts, **sound)  # pyright: ignore[reportArgumentType] only rates are given
    assert world.state().phase == phase
