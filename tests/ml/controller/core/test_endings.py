"""Whole experiments to their end, with the real decision function in a simulated world."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from ml.controller.ports import Mirror
from ml.events.decisions import replay
from ml.events.ports import Stored
from ml.events.types import experiment_stream
from tests.ml.controller.core.simulated_model import LONG, Arm
from tests.ml.controller.core.world import World, two_arms


def check_record(world: World, name: str = "test") -> None:
    """Nothing forbidden was done, and every decision can be derived again."""
    assert world.violations == []
    stored = [
        Stored(stream=experiment_stream(f"uid-{name}"), position=index, event=event)
        for index, event in enumerate(world.events(name), start=1)
    ]
    replayed = replay(stored)
    assert replayed
    assert [item.problems for item in replayed if not item.ok] == []


def test_champion_moves_to_the_candidate_when_it_is_better() -> None:
    world = two_arms(converts=0.6)
    world.create()
    state = world.run_to_end()
    assert (state.phase, state.winner) == ("Promoted", "candidate-a")
    assert world.champion_moves == [5]
    assert world.aliases == {"champion": 5}
    assert world.arms["stable"].version == 5
    assert dict(world.in_force.weights) == {"stable": 1000, "candidate-a": 0}
    assert [(p.model_version, p.previous_version, p.experiment) for p in world.promotions()] == [(5, 4, "uid-test")]
    assert world.tests["uid-test"].status["winner"] == "candidate-a"
    check_record(world)


def test_experiment_ends_inconclusive_when_arms_are_equal() -> None:
    world = two_arms()
    world.create()
    state = world.run_to_end()
    assert state.phase == "Inconclusive"
    assert world.champion_moves == []
    assert world.aliases == {"champion": 4}
    assert dict(world.in_force.weights) == {"stable": 1000, "candidate-a": 0}
    check_record(world)


@pytest.mark.parametrize(
    ("candidate", "metric"),
    [({"slow": 0.3}, "latency"), ({"fails": 0.10}, "errors"), ({"correct": 0.6}, "correct"), ({"converts": 0.4}, None)],
    ids=["slow", "failing", "less accurate", "worse"],
)
def test_candidate_is_rolled_back_within_three_minutes_when_it_does_harm(
    candidate: dict[str, float], metric: str | None
) -> None:
    world = World(("stable", Arm(version=4)), ("candidate-a", replace(Arm(version=5), **candidate)))
    world.create()
    state = world.run_to_end()
    assert state.phase == "RolledBack"
    started, ended = state.started_at, state.ended_at
    assert started is not None
    assert ended is not None
    assert ended - started <= 180
    assert state.decision["reasons"][-1]["metric"] == (metric or "converted")
    assert world.champion_moves == []
    assert world.aliases == {"champion": 4}
    assert dict(world.in_force.weights) == {"stable": 1000, "candidate-a": 0}
    check_record(world)


def test_weight_is_gone_within_two_seconds_when_a_decision_rolls_back() -> None:
    world = two_arms(slow=0.3)
    world.create()
    state = world.run_to_end()
    assert state.decision_at is not None
    gone = next(at for at, weights in world.weight_history if at > state.decision_at and weights["candidate-a"] == 0)
    assert gone - state.decision_at <= 2


def test_only_the_bad_arm_is_dropped_when_there_are_three() -> None:
    world = World(
        ("stable", Arm(version=4)),
        ("candidate-a", Arm(version=5, slow=0.4)),
        ("candidate-b", Arm(version=6, converts=0.58)),
    )
    world.create()
    state = world.run_to_end()
    assert (state.phase, state.winner, state.dropped) == ("Promoted", "candidate-b", ("candidate-a",))
    assert world.champion_moves == [6]
    assert world.aliases == {"champion": 6}
    check_record(world)


def test_a_slot_that_takes_no_part_keeps_weight_zero_when_others_are_compared() -> None:
    world = World(("stable", Arm(version=4)), ("candidate-a", Arm(version=5)), other_slots=("candidate-b",))
    world.create()
    world.run_to_end()
    assert all(weights["candidate-b"] == 0 for _, weights in world.weight_history)
    assert world.violations == []


@pytest.mark.slow
def test_shares_grow_by_one_percent_at_most_when_ramping() -> None:
    world = two_arms()
    world.create(primary=LONG, ramp={"durationSeconds": 200, "steps": 50})
    world.run(300, until=lambda: world.state().phase == "Running")
    assert world.state().phase == "Running"
    shares = [weights["candidate-a"] for _, weights in world.weight_history if weights["candidate-a"]]
    assert shares[-1] == 500
    assert all(0 < later - earlier <= 10 for earlier, later in itertools.pairwise(shares))
    state = world.run_to_end()
    assert state.phase == "Inconclusive"
    check_record(world)


@pytest.mark.slow
def test_ramp_catches_up_step_by_step_when_it_was_paused() -> None:
    world = two_arms()
    world.create(primary=LONG, ramp={"durationSeconds": 200, "steps": 50})
    world.run(60)
    world.command("pause")
    world.run(60)
    paused = world.in_force.weights["candidate-a"]
    world.run(60)
    assert world.in_force.weights["candidate-a"] == paused
    decisions = len([event for event in world.events() if event.type == "DecisionMade"])
    world.command("resume")
    world.run(120)
    assert len([event for event in world.events() if event.type == "DecisionMade"]) > decisions
    shares = [weights["candidate-a"] for _, weights in world.weight_history if weights["candidate-a"]]
    assert all(later - earlier <= 10 for earlier, later in itertools.pairwise(shares))
    commands = [event for event in world.events() if event.type == "CommandIssued"]
    assert [(event.action, event.by, event.why, event.source) for event in commands] == [
        ("pause", "ada", "a test", "kubectl"),
        ("resume", "ada", "a test", "kubectl"),
    ]


def test_control_keeps_the_held_out_users_when_there_is_a_holdout() -> None:
    world = two_arms(converts=0.6)
    world.create(holdoutPercent=10)
    world.run(60, until=lambda: bool(world.state().epochs))
    assert dict(world.in_force.weights) == {"stable": 550, "candidate-a": 450}
    assert dict(world.state().epochs[0].weights) == {"stable": 450, "candidate-a": 450}


@pytest.mark.slow
def test_copies_come_first_when_a_shadow_is_asked_for() -> None:
    world = two_arms(converts=0.6)
    world.create(shadow={"enabled": True, "durationSeconds": 60, "samplePercent": 20})
    world.run(30)
    assert world.state().phase == "Shadow"
    assert world.in_force.mirror == Mirror(slot="candidate-a", percent=20)
    assert world.in_force.weights["candidate-a"] == 0
    state = world.run_to_end()
    assert world.phases()[:2] == ["Shadow", "Ramping"]
    assert world.in_force.mirror is None
    assert state.phase == "Promoted"


def test_users_are_salted_anew_before_they_meet_the_candidate_when_an_experiment_begins() -> None:
    world = two_arms()
    world.create()
    world.run(60, until=lambda: bool(world.state().epochs))
    assert world.state().promised.salt_index == 4
    assert world.in_force.salt_index == 4
    assert world.weight_history[0][1]["candidate-a"] == 0


@pytest.mark.slow
def test_queue_is_worked_off_in_order_when_two_experiments_want_one_model() -> None:
    world = two_arms()
    world.create("first", primary=LONG)
    world.now += 1
    world.create("second")
    world.run(30)
    assert world.tests["uid-second"].status["behind"] == ["first"]
    assert world.events("second") == []
    world.run_to_end("first")
    assert world.state("first").phase == "Inconclusive"
    world.aliases["candidate-a"] = 7
    world.load("candidate-a")
    state = world.run_to_end("second")
    assert state.phase == "Inconclusive"
    assert state.promised.salt_index == 5
    assert world.violations == []


def test_experiment_is_refused_with_its_problems_when_the_spec_is_wrong() -> None:
    world = two_arms()
    world.create(primary={"name": "converted", "baseline": 0.5, "minimumEffect": 0.0001})
    world.run(5)
    state = world.state()
    assert state.phase == "Invalid"
    status = world.tests["uid-test"].status
    assert "spec.primary.minimumEffect" in status["problems"][0]
    assert world.weight_history == []


def test_experiment_is_invalid_when_a_slot_changes_its_version() -> None:
    world = two_arms()
    world.create(primary=LONG)
    world.run(20)
    world.aliases["candidate-a"] = 9
    world.load("candidate-a")
    state = world.run_to_end()
    assert (state.phase, state.reason) == ("Invalid", "version_changed")
    assert world.aliases["candidate-a"] == 9, "what somebody else has put there is not ours to remove"


@pytest.mark.slow
def test_holding_ends_inconclusive_when_a_slot_stays_dead() -> None:
    world = two_arms()
    world.create(primary=LONG)
    world.run(20)
    world.arms["candidate-a"].ready = False
    world.run(10)
    assert world.state().phase == "HoldNoData"
    assert world.in_force.weights["candidate-a"] == 0
    state = world.run_to_end()
    assert (state.phase, state.reason) == ("Inconclusive", "slots_not_ready")
    assert world.violations == []


@pytest.mark.slow
def test_experiment_goes_on_when_a_slot_comes_back() -> None:
    world = two_arms(converts=0.6, users_per_second=40)
    world.create(expectedUnitsPerDay=3_456_000)
    world.run(40)
    world.arms["candidate-a"].ready = False
    world.run(30)
    assert world.state().phase == "HoldNoData"
    world.arms["candidate-a"].ready = True
    state = world.run_to_end()
    assert state.phase == "Promoted"
    assert world.phases()[:3] == ["Ramping", "HoldNoData", "Running"]
    check_record(world)


def test_weights_are_repaired_within_one_reconcile_when_somebody_changes_them() -> None:
    world = two_arms()
    world.create(primary=LONG)
    world.run(20)
    world.command("pause")
    world.run(6)
    world.written = world.in_force = replace(world.in_force, weights={"stable": 100, "candidate-a": 900})
    world.run(5 + 2)
    assert dict(world.in_force.weights) == {"stable": 500, "candidate-a": 500}
    weights = [dict(epoch.weights) for epoch in world.state().epochs]
    assert weights == [
        {"stable": 500, "candidate-a": 500},
        {"stable": 0, "candidate-a": 0},
        {"stable": 500, "candidate-a": 500},
    ]


@pytest.mark.slow
def test_experiment_stays_valid_when_drift_is_noticed_at_once() -> None:
    world = two_arms()
    world.create(primary=LONG)
    world.run(30)
    world.written = world.in_force = replace(world.in_force, weights={"stable": 100, "candidate-a": 900})
    world.tick()
    state = world.run_to_end()
    assert state.phase == "Inconclusive"
    check_record(world)


def test_experiment_waits_when_a_slot_still_serves_the_version_before() -> None:
    world = two_arms(converts=0.7)
    world.aliases["candidate-a"] = 6
    world.create()
    world.run(5)
    state = world.state()
    assert (state.phase, state.message) == (
        "Pending",
        "slot candidate-a serves version 5, alias candidate-a points to 6",
    )
    assert state.epochs == ()
    world.load("candidate-a")
    state = world.run_to_end()
    assert (state.phase, dict(state.versions)) == ("Promoted", {"stable": 4, "candidate-a": 6})
    assert world.champion_moves == [6]
    check_record(world)
