"""Experiments that do not say how many users they expect: admitted, refused, or waiting, in the simulated world."""

from __future__ import annotations

import pytest

from ml.controller.admission import AdmissionFacts, Admitted, Refused, admit
from ml.controller.daily_units import DailyUnits, from_plan
from ml.events.ports import UnitsSeen
from ml.events.types import ExperimentCreated, ExperimentRefused
from ml.experiments.document import to_document
from tests.ml.controller.core.simulated_model import MODEL
from tests.ml.controller.core.simulated_ports import open_gate, unavailable
from tests.ml.controller.core.test_endings import check_record
from tests.ml.controller.core.world import World, two_arms

DAY = 86_400.0


def undeclared(world: World) -> None:
    world.create(expectedUnitsPerDay=None, durationSeconds=14 * 86_400)
    world.tick()


def test_experiment_runs_to_its_end_when_its_traffic_was_measured_at_the_gateway() -> None:
    world = two_arms(converts=0.6)
    world.run(60)
    undeclared(world)
    world.run_to_end()
    created = world.events()[0]
    assert isinstance(created, ExperimentCreated)
    assert created.plan["units_per_day"] == pytest.approx(400 * 60, rel=0.1)
    assert (created.plan["units_per_day_source"], created.plan["measured_seconds"]) == ("gateway", DAY)
    (condition,) = [it for it in world.tests["uid-test"].status["conditions"] if it["type"] == "Admitted"]
    assert "units per day (measured at the gateway over 1.0 days)" in condition["message"]
    check_record(world)


def test_admission_is_derived_again_bit_for_bit_when_its_event_is_read() -> None:
    world = two_arms()
    world.seen = UnitsSeen(units=123_457, first_at=world.now - 3.21 * DAY)
    undeclared(world)
    created = world.events()[0]
    assert isinstance(created, ExperimentCreated)
    assert created.plan["units_per_day_source"] == "outcomes"
    again = admit(created.spec, AdmissionFacts(slots={MODEL: world.slots}, measured=from_plan(created.plan)))
    assert isinstance(again, Admitted)
    assert to_document(again.plan) == created.plan
    assert to_document(again.specification) == created.specification


def test_refusal_is_derived_again_when_the_measured_traffic_was_too_little() -> None:
    world = two_arms()
    world.seen = UnitsSeen(units=13, first_at=world.now - 2 * DAY)
    undeclared(world)
    refused = world.events()[0]
    assert isinstance(refused, ExperimentRefused)
    assert world.state().phase == "Invalid"
    assert all("units per day (measured in the reported outcomes over 2.0 days)" in text for text in refused.problems)
    again = admit(refused.spec, AdmissionFacts(slots={MODEL: world.slots}, measured=DailyUnits(**refused.measured)))
    assert isinstance(again, Refused)
    assert tuple(str(problem) for problem in again.problems) == refused.problems


def test_field_is_named_when_nothing_is_known_of_the_traffic() -> None:
    world = two_arms()
    undeclared(world)
    refused = world.events()[0]
    assert isinstance(refused, ExperimentRefused)
    assert refused.measured == {}
    assert refused.problems[0].startswith("spec.expectedUnitsPerDay")


@pytest.mark.parametrize(("port", "method"), [("outcomes", "seen"), ("requests", "total")])
def test_experiment_waits_when_a_source_is_away_and_begins_when_it_is_back(port: str, method: str) -> None:
    world = two_arms()
    world.run(60)

    def gate(name: str, called: str, _: str) -> None:
        if (name, called) == (port, method):
            raise unavailable(name)

    world.gate = gate
    undeclared(world)
    world.run(30)
    assert world.events() == [], "what cannot be measured now is no reason to refuse"
    assert "its units per day cannot be measured now" in world.tests["uid-test"].status["message"]
    world.gate = open_gate
    world.run(30)
    assert isinstance(world.events()[0], ExperimentCreated)


def test_nothing_is_measured_when_the_experiment_says_what_it_expects() -> None:
    world = two_arms()

    def gate(name: str, called: str, _: str) -> None:
        assert (name, called) not in {("outcomes", "seen"), ("requests", "total")}

    world.gate = gate
    world.create()
    world.run(10)
    assert isinstance(world.events()[0], ExperimentCreated)
