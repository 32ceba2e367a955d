"""What people may ask of an experiment, in each phase, and what becomes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ml.controller.commands import COMMAND_ANNOTATION, InvalidCommandError, read_command
from ml.controller.queue import CREATOR_ANNOTATION
from ml.events.types import CommandHandled, CommandIssued, experiment_stream
from tests.ml.controller.core.simulated_model import LONG
from tests.ml.controller.core.world import World, two_arms


def handled(world: World) -> list[CommandHandled]:
    return [event for event in world.events() if isinstance(event, CommandHandled)]


def reconciled(world: World) -> Mapping[str, Any]:
    """The object's word on whether everything asked of it was looked after."""
    conditions = world.tests["uid-test"].status["conditions"]
    return next(item for item in conditions if item["type"] == "Reconciled")


def write_command(world: World, action: str, *, arm: str | None = None, number: str = "1") -> None:
    """Write a command under an id of one's own."""
    body = {"id": number, "action": action, "by": "ada", "why": "a test", "arm": arm}
    test = world.tests["uid-test"]
    world.tests["uid-test"] = replace(test, annotations={COMMAND_ANNOTATION: json.dumps(body)})


def running() -> World:
    world = two_arms()
    world.create(primary=LONG)
    world.run(20, until=lambda: world.state().phase == "Running")
    assert world.state().phase == "Running"
    return world


def test_all_traffic_goes_back_when_somebody_stops_it() -> None:
    world = running()
    world.command("stop")
    state = world.run_to_end()
    assert (state.phase, state.message) == ("Cancelled", "a test")
    assert world.in_force.weights["candidate-a"] == 0
    assert world.aliases == {"champion": 4}
    assert world.violations == []


def test_experiment_is_cancelled_when_the_object_is_deleted() -> None:
    world = running()
    world.delete()
    state = world.run_to_end()
    assert state.phase == "Cancelled"
    assert world.in_force.weights["candidate-a"] == 0


def test_experiment_is_cancelled_when_the_object_was_deleted_while_no_controller_ran() -> None:
    world = running()
    world.delete()
    world.start_controller()
    assert world.run_to_end().phase == "Cancelled"


def test_candidate_is_promoted_when_somebody_decides_so() -> None:
    world = running()
    world.command("promote")
    state = world.run_to_end()
    assert (state.phase, state.winner) == ("Promoted", "candidate-a")
    assert world.champion_moves == [5]
    assert [promotion.by for promotion in world.promotions()] == ["ada"]


def test_candidate_is_rolled_back_when_somebody_decides_so() -> None:
    world = running()
    world.command("rollback")
    assert world.run_to_end().phase == "RolledBack"
    assert world.champion_moves == []


def test_promotion_waits_for_a_person_when_approval_is_required() -> None:
    world = two_arms(converts=0.6)
    world.create(approval={"required": True, "timeoutSeconds": 600})
    world.run(120, until=lambda: world.state().phase == "AwaitingApproval")
    world.run(60)
    assert world.state().phase == "AwaitingApproval"
    assert world.champion_moves == []
    world.command("approve")
    assert world.run_to_end().phase == "Promoted"
    assert world.champion_moves == [5]


@pytest.mark.slow
def test_experiment_ends_inconclusive_when_nobody_approves() -> None:
    world = two_arms(converts=0.6)
    world.create(approval={"required": True, "timeoutSeconds": 60})
    state = world.run_to_end()
    assert (state.phase, state.reason) == ("Inconclusive", "not_approved")
    assert world.champion_moves == []


def test_candidate_is_rolled_back_when_it_turns_slow_while_approval_is_waited_for() -> None:
    world = two_arms(converts=0.6)
    world.create(approval={"required": True, "timeoutSeconds": 600})
    world.run(120, until=lambda: world.state().phase == "AwaitingApproval")
    world.arms["candidate-a"].slow = 0.5
    assert world.run_to_end().phase == "RolledBack"


def test_promotion_is_given_up_when_somebody_stops_it_before_the_champion_moves() -> None:
    world = running()
    world.command("promote")
    world.tick()
    assert world.state().phase == "Promoting"
    world.command("stop", number=2)
    assert world.run_to_end().phase == "Cancelled"
    assert world.champion_moves == []
    assert world.aliases == {"champion": 4}


def test_promotion_is_finished_when_somebody_stops_it_after_the_champion_has_moved() -> None:
    world = running()
    world.command("promote")
    world.run(30, until=lambda: bool(world.champion_moves))
    world.command("stop", number=2)
    assert world.run_to_end().phase == "Promoted"
    assert [event.accepted for event in handled(world)] == [True, False]
    assert "champion has moved" in handled(world)[-1].message


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("approve", "phase Running: allowed is to approve in phase AwaitingApproval"),
        ("resume", "the experiment is not paused"),
    ],
)
def test_command_is_refused_with_a_reason_when_it_makes_no_sense(action: str, message: str) -> None:
    world = running()
    world.command(action)
    world.run(6)
    assert [(event.accepted, event.message) for event in handled(world)] == [(False, message)]


def test_command_is_refused_when_it_names_an_unknown_arm() -> None:
    world = running()
    world.command("promote", arm="candidate-z")
    world.run(6)
    assert [event.message for event in handled(world)] == ["arm='candidate-z': allowed is one of candidate-a"]


def test_command_is_carried_out_once_when_the_annotation_stays() -> None:
    world = running()
    world.command("pause")
    world.run(90)
    assert len(handled(world)) == 1


@pytest.mark.slow
def test_experiment_never_begins_when_it_is_stopped_in_the_queue() -> None:
    world = two_arms()
    world.create("first", primary=LONG)
    world.now += 1
    world.create("second")
    world.run(8)
    stop = CommandIssued(at=world.now, command="c-1", action="stop", by="ada", why="not needed", source="api")
    asyncio.run(world.store.append(experiment_stream("uid-second"), 0, [stop]))
    world.run(40)
    assert world.state("second").phase == "Cancelled"
    world.run_to_end("first")
    assert world.state("second").promise is None


@pytest.mark.slow
def test_decisions_stop_and_go_on_when_spec_paused_changes() -> None:
    world = running()
    world.set_spec(paused=True)
    world.run(20)
    assert world.state().paused_by == "spec"
    count = len(world.events())
    world.run(20)
    assert len(world.events()) == count
    world.command("resume")
    world.run(35)
    assert handled(world)[-1].message == "spec.paused=true: allowed is to resume by setting it to false"
    world.set_spec(paused=False)
    world.run(40)
    assert world.state().paused_by == ""
    assert len(world.events()) > count + 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "allowed is JSON"),
        ("[]", "allowed is an object"),
        ('{"id": "1", "action": "fly", "by": "a", "why": "b"}', "action='fly': allowed is one of pause"),
        ('{"id": "1", "action": "stop", "by": "a"}', r"why=None: allowed is a text of 1 to 1000 characters"),
        ('{"id": "1", "action": "stop", "by": "a", "why": "b", "x": 1}', "x: allowed are id, action, arm, by and why"),
        ('{"id": "spec-1", "action": "stop", "by": "a", "why": "b"}', "id='spec-1': allowed is an id that does not"),
        (
            r'{"id": "1", "action": "stop", "by": "a", "why": "x\u0000"}',
            r"why='x.x00': allowed is a text without the ch",
        ),
        (
            r'{"id": "1", "action": "stop", "by": "\ud800", "why": "b"}',
            r"by='.ud800': allowed is a text without half of",
        ),
    ],
)
def test_annotation_is_refused_with_field_and_value_when_it_is_wrong(text: str, message: str) -> None:
    with pytest.raises(InvalidCommandError, match=message):
        read_command({COMMAND_ANNOTATION: text}, 1.0)


@pytest.mark.parametrize(("action", "arm"), [("stop", None), ("pause", "candidate-a")])
def test_object_says_so_when_an_id_is_used_again_for_another_command(action: str, arm: str | None) -> None:
    world = running()
    write_command(world, "pause")
    world.run(6)
    assert reconciled(world)["status"] == "True"
    write_command(world, action, arm=arm)
    world.run(6)
    assert reconciled(world)["status"] == "False"
    assert "id='1': allowed is a new id; this one was used for another command (pause by ada at 2027-" in str(
        reconciled(world)["message"]
    )
    assert [event.command for event in handled(world)] == ["1"]
    write_command(world, "stop", number="2")
    assert world.run_to_end().phase == "Cancelled"


def test_creator_is_somebody_with_kubectl_when_the_annotation_cannot_be_stored() -> None:
    world = two_arms()
    uid = world.create()
    world.tests[uid] = replace(world.tests[uid], annotations={CREATOR_ANNOTATION: "a\x00b"})
    world.run(2)
    assert world.state().promised.by == "kubectl"


@pytest.mark.slow
def test_experiment_goes_on_and_says_so_when_the_annotation_is_wrong() -> None:
    world = running()
    test = world.tests["uid-test"]
    world.tests["uid-test"] = replace(test, annotations={COMMAND_ANNOTATION: "{"})
    world.run(10)
    assert reconciled(world)["status"] == "False"
    assert "allowed is JSON" in reconciled(world)["message"]
    assert world.run_to_end().phase == "Inconclusive"
