"""Nobody can say what weights the gateways have: nobody is counted, and the experiment does not go on for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.ml.controller.core.simulated_model import LONG
from tests.ml.controller.core.simulated_ports import open_gate, unavailable
from tests.ml.controller.core.test_endings import check_record
from tests.ml.controller.core.world import World, two_arms

RAMP = {"durationSeconds": 200, "steps": 50}


def differ(world: World) -> None:
    world.gateways_agree = False


def fall_silent(world: World) -> None:
    def gate(port: str, method: str, when: str) -> None:
        if (port, method) == ("traffic", "in_force"):
            raise unavailable(port)

    world.gate = gate


def tell_again(world: World) -> None:
    world.gateways_agree, world.gate = True, open_gate


def is_changing(world: World) -> bool:
    epochs = world.state().epochs
    return len(epochs) > 1 and epochs[-1].is_changing


def always_wrong(**spec: Any) -> World:
    """A world in the middle of a change of weights, whose candidate is always wrong."""
    world = two_arms(correct=0.0)
    world.create(primary=LONG, ramp=RAMP, **spec)
    world.run(60, until=lambda: is_changing(world))
    assert is_changing(world)
    return world


blinded = pytest.mark.parametrize("blind", [differ, fall_silent])


@blinded
def test_experiment_holds_and_gives_its_users_back_when_a_change_is_never_seen_in_force(
    blind: Callable[[World], None],
) -> None:
    world = always_wrong()
    blind(world)
    world.run(45)
    assert (world.state().phase, world.state().reason) == ("HoldNoData", "weights_unknown")
    assert "gateways" in world.tests["uid-test"].status["message"]
    world.run(100)
    assert (world.state().phase, world.state().reason) == ("RollingBack", "no_data_timeout")
    assert dict(world.in_force.weights) == {"stable": 1000, "candidate-a": 0}
    tell_again(world)
    assert world.run_to_end().phase == "Inconclusive"
    check_record(world)


@blinded
def test_harm_is_found_when_the_weights_become_known_again(blind: Callable[[World], None]) -> None:
    world = always_wrong()
    blind(world)
    world.run(60)
    assert world.state().phase == "HoldNoData"
    tell_again(world)
    world.run(10)
    assert world.state().phase == "Ramping"
    state = world.run_to_end()
    assert state.phase == "RolledBack"
    assert state.decision["reasons"][-1]["metric"] == "correct"
    check_record(world)


def test_candidate_is_rolled_back_when_its_requests_fail_while_the_weights_are_not_known() -> None:
    world = always_wrong(noData={"staleAfterSeconds": 30, "timeoutSeconds": 600})
    differ(world)
    world.arms["candidate-a"].fails = 1.0
    world.run(300, until=lambda: world.state().phase == "RollingBack")
    assert world.state().decision["action"] == "roll back"
    assert "HoldNoData" in world.phases()
    world.run(2)
    assert world.in_force.weights["candidate-a"] == 0
    check_record(world)


@blinded
def test_experiment_holds_and_ends_when_the_first_weights_are_never_seen_in_force(
    blind: Callable[[World], None],
) -> None:
    world = two_arms(correct=0.0)
    world.create(primary=LONG)
    world.run(60, until=lambda: world.state().phase == "Ramping")
    blind(world)
    world.run(40)
    assert (world.state().phase, world.state().reason) == ("HoldNoData", "weights_unknown")
    assert world.state().epochs == ()
    assert world.in_force.weights["candidate-a"] == 500
    world.run(130)
    assert (world.state().phase, world.state().reason) == ("RollingBack", "weights_unknown")
    assert world.in_force.weights["candidate-a"] == 0
    tell_again(world)
    assert world.run_to_end().phase == "Inconclusive"
    assert world.violations == []


def test_experiment_begins_when_the_first_weights_are_seen_late() -> None:
    world = two_arms(converts=0.7)
    world.create()
    world.run(60, until=lambda: world.state().phase == "Ramping")
    differ(world)
    world.run(60)
    assert world.state().phase == "HoldNoData"
    tell_again(world)
    assert world.run_to_end().phase == "Promoted"
    check_record(world)


def test_weights_stay_when_a_person_has_paused_before_they_were_seen() -> None:
    world = two_arms()
    world.create(primary=LONG)
    world.run(60, until=lambda: world.state().phase == "Ramping")
    differ(world)
    world.command("pause")
    world.run(300)
    assert (world.state().phase, world.in_force.weights["candidate-a"]) == ("Ramping", 500)
