"""The controller killed, a call lost or its answer lost, at every single call boundary of a promotion and a rollback.

Whatever happens, and wherever: the same end, the champion moved at most once, one promotion on record, no weight for a
dead slot, no write to anything that is not the experiment's, and a stream whose decisions can all be derived again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from tests.ml.controller.core.simulated_ports import Killed, unavailable
from tests.ml.controller.core.test_endings import check_record
from tests.ml.controller.core.world import World, two_arms

pytestmark = pytest.mark.slow

Kind = Literal["killed before", "killed after", "call lost", "answer lost"]
KINDS: tuple[Kind, ...] = ("killed before", "killed after", "call lost", "answer lost")
QUICK = {"baseline": 0.5, "minimumEffect": 0.1, "name": "converted"}


def promotion() -> World:
    world = two_arms(converts=0.75)
    world.create(primary=QUICK, reconcileIntervalSeconds=10)
    return world


def rollback() -> World:
    world = two_arms(fails=0.3)
    world.create(primary=QUICK, reconcileIntervalSeconds=10)
    return world


SCENARIOS: dict[str, tuple[Callable[[], World], str]] = {
    "promotion": (promotion, "Promoted"),
    "rollback": (rollback, "RolledBack"),
}


def arm(world: World, at: int, kind: Kind) -> None:
    """Let the call with this number go wrong, once."""
    wanted = "before" if kind in ("killed before", "call lost") else "after"
    seen = 0

    def gate(port: str, method: str, when: Literal["before", "after"]) -> None:
        nonlocal seen
        if when != wanted:
            return
        seen += 1
        if seen == at:
            raise Killed if kind.startswith("killed") else unavailable(port)

    world.gate = gate


def calls_of(scenario: str) -> int:
    world = SCENARIOS[scenario][0]()
    world.run_to_end()
    return world.calls


def first_calls_of(scenario: str) -> list[int]:
    """Return the numbers of the calls with which the controller begins to look, each time that it does."""
    world = SCENARIOS[scenario][0]()
    first: dict[float, int] = {}

    def gate(port: str, method: str, when: str) -> None:
        if when == "before":
            first.setdefault(world.now, world.calls)

    world.gate = gate
    world.run_to_end()
    return list(first.values())


def check_end(world: World, scenario: str) -> None:
    state = world.run_to_end()
    expected = SCENARIOS[scenario][1]
    assert state.phase == expected, (state.phase, state.reason, state.message)
    version = 5 if expected == "Promoted" else 4
    assert world.champion_moves == ([5] if expected == "Promoted" else [])
    assert world.aliases == {"champion": version}
    assert [item.model_version for item in world.promotions()] == ([5] if expected == "Promoted" else [])
    assert dict(world.in_force.weights) == dict(world.written.weights) == {"stable": 1000, "candidate-a": 0}
    assert world.arms["stable"].version == version
    assert world.closed
    assert len([phase for phase in world.phases() if phase == expected]) == 1
    check_record(world)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_same_end_is_reached_when_any_single_call_goes_wrong(scenario: str, kind: Kind) -> None:
    """To die before a call is to die after the one before it, but for a look's first: time has passed in between."""
    total = calls_of(scenario)
    assert total > 50
    numbers = first_calls_of(scenario) if kind == "killed before" else range(1, total + 1)
    for number in numbers:
        world = SCENARIOS[scenario][0]()
        arm(world, number, kind)
        try:
            check_end(world, scenario)
        except AssertionError as error:
            raise AssertionError(f"call {number} of {total}, {kind}: {error}") from error


@pytest.mark.parametrize("port", ["tests", "traffic", "slots", "registry", "requests", "events", "outcomes"])
@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_same_end_is_reached_when_a_port_is_away_for_a_while_at_any_time(scenario: str, port: str) -> None:
    for begins in range(0, 60, 3):
        world = SCENARIOS[scenario][0]()
        start = world.now

        def gate(name: str, method: str, when: str, *, world: World = world, away: float = start + begins) -> None:
            if name == port and when == "before" and away <= world.now < away + 20:
                raise unavailable(name)

        world.gate = gate
        try:
            check_end(world, scenario)
        except AssertionError as error:
            raise AssertionError(f"{port} away from second {begins}: {error}") from error
