"""One of several treatments is taken back before any user has met it; the others go on without it."""

from __future__ import annotations

import pytest

from tests.ml.controller.core.simulated_model import Arm
from tests.ml.controller.core.test_endings import check_record
from tests.ml.controller.core.world import World


def three_arms() -> World:
    """A world whose second candidate is better."""
    world = World(
        ("stable", Arm(version=4)), ("candidate-a", Arm(version=5)), ("candidate-b", Arm(version=6, converts=0.6))
    )
    world.create(shadow={"enabled": True, "durationSeconds": 60, "samplePercent": 10})
    return world


@pytest.mark.parametrize(("phase", "seconds"), [("Pending", 1), ("Shadow", 20)])
def test_other_treatment_is_tested_to_its_end_when_one_is_dropped(phase: str, seconds: float) -> None:
    world = three_arms()
    world.run(seconds)
    assert world.state().phase == phase
    world.command("rollback", arm="candidate-a")
    world.run(20)
    assert (world.state().phase, world.state().dropped) == ("Shadow", ("candidate-a",))
    state = world.run_to_end()
    assert (state.phase, state.winner) == ("Promoted", "candidate-b")
    assert all(not epoch.weights["candidate-a"] for epoch in state.epochs)
    check_record(world)


def test_dropped_treatment_is_neither_waited_for_nor_sent_copies() -> None:
    world = three_arms()
    world.run(1)
    world.arms["candidate-a"].ready = False
    world.run(10)
    assert world.state().phase == "Pending"
    world.command("rollback", arm="candidate-a")
    copied = set[str]()
    for _ in range(80):
        world.run(1)
        copied |= {world.in_force.mirror.slot} if world.in_force.mirror is not None else set()
    assert copied == {"candidate-b"}
    assert world.run_to_end().winner == "candidate-b"
