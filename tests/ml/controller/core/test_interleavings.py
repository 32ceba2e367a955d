"""Outages, dying slots, drift, commands and deaths of the controller in any order: safe at every moment, and an end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.ml.controller.core.simulated_ports import Killed, unavailable
from tests.ml.controller.core.world import World, two_arms

pytestmark = pytest.mark.slow

PORTS = ("tests", "traffic", "slots", "registry", "requests", "events", "outcomes")
ACTIONS = ("pause", "resume", "stop", "approve", "promote", "rollback")


@dataclass(frozen=True)
class Mishap:
    """Something that happens between two seconds."""

    after_seconds: int
    kind: Literal["outage", "flap", "kill", "drift", "command"]
    detail: str
    seconds: int


mishaps = st.one_of(
    st.builds(Mishap, st.integers(0, 25), st.just("outage"), st.sampled_from(PORTS), st.integers(1, 30)),
    st.builds(
        Mishap, st.integers(0, 25), st.just("flap"), st.sampled_from(["stable", "candidate-a"]), st.integers(1, 30)
    ),
    st.builds(Mishap, st.integers(0, 25), st.just("kill"), st.sampled_from(PORTS), st.integers(0, 20)),
    st.builds(Mishap, st.integers(0, 25), st.just("drift"), st.just(""), st.integers(0, 1000)),
    st.builds(Mishap, st.integers(0, 25), st.just("command"), st.sampled_from(ACTIONS), st.just(0)),
)


class Fate:
    """Lets ports fail and the controller die as the mishaps say."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.away_until: dict[str, float] = {}
        self.deadly_call: tuple[str, int] | None = None
        world.gate = self.gate

    def gate(self, port: str, _method: str, _when: str) -> None:
        if self.deadly_call is not None and self.deadly_call[0] == port:
            left = self.deadly_call[1]
            self.deadly_call = (port, left - 1) if left else None
            if not left:
                raise Killed
        if self.away_until.get(port, 0) > self.world.now:
            raise unavailable(port)

    def strike(self, mishap: Mishap, number: int) -> None:
        world = self.world
        if mishap.kind == "outage":
            self.away_until[mishap.detail] = world.now + mishap.seconds
        elif mishap.kind == "kill":
            self.deadly_call = (mishap.detail, mishap.seconds)
        elif mishap.kind == "flap":
            world.arms[mishap.detail].ready = False
            world.run(mishap.seconds)
            world.arms[mishap.detail].ready = True
        elif mishap.kind == "drift":
            if world.state().is_final:
                return  # whose weights they are then is not the controller's business
            weights = {"stable": mishap.seconds, "candidate-a": 1000 - mishap.seconds}
            world.written = replace(world.written, weights=weights)
            world.come_into_force(world.written)
        else:
            world.command(mishap.detail, number=number)


@settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    script=st.lists(mishaps, max_size=8),
    converts=st.sampled_from([0.4, 0.5, 0.7]),
    approval=st.booleans(),
    ramped=st.booleans(),
)
def test_end_is_reached_safely_when_anything_goes_wrong_in_any_order(
    script: Sequence[Mishap], converts: float, approval: bool, ramped: bool
) -> None:
    world = two_arms(converts=converts)
    world.create(
        primary={"name": "converted", "baseline": 0.5, "minimumEffect": 0.1},
        approval={"required": approval, "timeoutSeconds": 60},
        ramp={"durationSeconds": 60 if ramped else 0, "steps": 50},
        durationSeconds=300,
    )
    fate = Fate(world)
    for number, mishap in enumerate(script):
        world.run(mishap.after_seconds)
        fate.strike(mishap, number)
    world.run(60)
    fate.away_until.clear()
    if not world.state().is_final and world.state().paused_by:
        world.command("resume", number=1000)
    state = world.run_to_end(seconds=1500)
    assert world.violations == []
    assert world.champion_moves == ([5] if state.phase == "Promoted" else [])
    assert [item.model_version for item in world.promotions()] == world.champion_moves
    assert dict(world.written.weights) == {"stable": 1000, "candidate-a": 0}
    assert len([phase for phase in world.phases() if phase == state.phase]) == 1
