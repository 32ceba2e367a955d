"""A controller whose clock stands before the last event: its own was set back, or another's was ahead."""

from __future__ import annotations

from tests.ml.controller.core.simulated_model import LONG
from tests.ml.controller.core.test_endings import check_record
from tests.ml.controller.core.world import World, two_arms


def decisions(world: World) -> int:
    return sum(event.type == "DecisionMade" for event in world.events())


def test_one_decision_is_made_in_a_tick_when_the_clock_was_set_back() -> None:
    world = two_arms()
    world.create(primary=LONG, reconcileIntervalSeconds=30)
    world.run(100)
    last = world.state().decision_at
    assert last is not None
    world.now = last - 5
    for _ in range(2):
        before = decisions(world)
        (done,) = world.tick()
        assert decisions(world) == before + 1
        assert done.decision == "continue", "a decision counts, though it is recorded as of the same moment"
        assert done.due_at is not None
        assert done.due_at - world.now == 30
        world.now += 1
    check_record(world)
