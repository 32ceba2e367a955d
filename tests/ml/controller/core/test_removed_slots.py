"""A deployment removes the slot of a treatment while it is being tested: weights can still be taken away."""

from __future__ import annotations

from typing import Any

import pytest

from ml.controller.observation import Observation
from ml.controller.ports import RouteState, SlotState
from ml.controller.routing import wanted_route
from tests.ml.controller.core.simulated_model import LONG, Arm
from tests.ml.controller.core.world import World


def three_arms(**spec: Any) -> World:
    world = World(("stable", Arm(version=4)), ("candidate-a", Arm(version=5)), ("candidate-b", Arm(version=6)))
    world.create(primary=LONG, **spec)
    return world


def to_stable(world: World) -> bool:
    return {slot: weight for slot, weight in world.in_force.weights.items() if weight} == {"stable": 1000}


@pytest.mark.parametrize("pods_stay", [True, False])
def test_experiment_ends_and_users_go_to_control_when_a_slot_is_removed(pods_stay: bool) -> None:
    world = three_arms()
    world.run(60)
    assert world.in_force.weights["candidate-b"] == 250
    world.remove_slot("candidate-b")
    world.arms["candidate-b"].ready = pods_stay
    world.run(8)
    assert to_stable(world)
    state = world.run_to_end()
    assert (state.phase, state.reason) == ("Inconclusive", "slot_not_declared")
    assert "candidate-b" in world.tests["uid-test"].status["message"]
    assert world.aliases == {"champion": 4}
    assert world.violations == []


@pytest.mark.parametrize(("phase", "seconds"), [("Pending", 1), ("Shadow", 20)])
def test_experiment_does_not_begin_when_a_slot_is_removed_before(phase: str, seconds: float) -> None:
    world = three_arms(shadow={"enabled": True, "durationSeconds": 60, "samplePercent": 10})
    world.run(seconds)
    assert world.state().phase == phase
    world.remove_slot("candidate-a")
    world.run(15)
    assert (world.state().phase, world.state().reason) == ("Inconclusive", "slot_not_declared")
    assert world.state().epochs == ()
    assert world.violations == []


def test_experiment_ends_when_the_slot_of_a_dropped_treatment_is_removed() -> None:
    world = three_arms()
    world.run(60)
    world.command("rollback", arm="candidate-b")
    world.run(10)
    assert world.state().dropped == ("candidate-b",)
    world.remove_slot("candidate-b")
    world.run(15)
    assert (world.state().phase, world.state().reason) == ("Inconclusive", "slot_not_declared")
    assert to_stable(world)
    assert world.violations == []


def test_rollback_by_hand_is_in_effect_when_the_slot_is_removed_while_it_goes_on() -> None:
    world = three_arms()
    world.run(60)
    world.command("stop")
    world.remove_slot("candidate-a")
    world.run(15)
    assert (world.state().phase, world.state().reason) == ("Cancelled", "stopped")
    assert to_stable(world)
    assert world.violations == []


def test_promotion_is_finished_when_the_slot_of_a_loser_is_removed() -> None:
    world = three_arms()
    world.run(60)
    world.command("promote", arm="candidate-a")
    world.run(1)
    assert world.state().phase == "Promoting"
    world.remove_slot("candidate-b")
    state = world.run_to_end()
    assert (state.phase, state.winner) == ("Promoted", "candidate-a")
    assert to_stable(world)
    assert world.violations == []


def test_promotion_is_given_up_when_the_slot_of_the_winner_is_removed() -> None:
    world = three_arms()
    world.run(60)
    world.command("promote", arm="candidate-a")
    world.tick()
    assert (world.state().phase, world.champion_moves) == ("Promoting", [])
    world.remove_slot("candidate-a")
    state = world.run_to_end()
    assert (state.phase, state.reason) == ("Inconclusive", "winner_not_ready")
    assert to_stable(world)
    assert world.champion_moves == []
    assert world.violations == []


def test_no_route_is_wanted_when_control_itself_is_not_declared() -> None:
    world = three_arms()
    world.run(30)
    slots = {slot: SlotState(slot=slot, ready_pods=1, serving_version=1) for slot in world.arms}
    seen = Observation(written=world.written, slots=slots, slots_declared=("candidate-a", "candidate-b"))
    assert wanted_route(world.state(), seen, world.now) is None


def test_removed_slot_gets_nothing_when_the_declared_slots_are_not_known() -> None:
    world = three_arms()
    world.run(30)
    slots = {slot: SlotState(slot=slot, ready_pods=1, serving_version=1) for slot in world.arms}
    written = RouteState(weights={"stable": 750, "candidate-a": 250}, salt_index=4)
    route = wanted_route(world.state(), Observation(written=written, slots=slots), world.now)
    assert route is not None
    assert dict(route.weights) == {"stable": 750, "candidate-a": 250}
