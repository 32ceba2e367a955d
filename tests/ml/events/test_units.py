"""Who is counted, in which arm and epoch: one suite for memory and PostgreSQL."""

from __future__ import annotations

import dataclasses

from ml.events.ports import UnitsSeen
from ml.experiments.assignment import assign, assignment_hashes
from tests.ml.events.reporting import MODEL, SALT, START, OnOutcomes, World, user_in


def test_arm_is_the_gateways_when_the_slot_is_left_out(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open()
        users = [f"user-{i}" for i in range(200)]
        await world.tell(*(world.outcome(user) for user in users))
        chosen = assign(users, (500, 500), SALT)
        assert (await world.sums()).epochs[0].units == {
            "stable": int((chosen == 0).sum()),
            "candidate-a": int((chosen == 1).sum()),
        }

    on_outcomes(action)


def test_unit_stays_in_its_first_epoch_when_it_returns_later(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open()
        await world.tell(world.outcome("a", slot="stable"))
        await world.store.start_epoch("x", 1, {"stable": 400, "candidate-a": 600}, world.now + 1)
        world.now += 5
        assert await world.tell(world.outcome("a", slot="stable", metric="conversion", value=1.0)) == ["counted"]
        assert await world.tell(world.outcome("b", slot="stable", metric="conversion", value=1.0)) == ["counted"]
        sums = await world.sums()
        assert [sums.epochs[index].units for index in (0, 1)] == [{"stable": 1}, {"stable": 1}]
        assert [sums.epochs[i].metrics["conversion"]["stable"].numerator for i in (0, 1)] == [1.0, 1.0]

    on_outcomes(action)


def test_unit_is_censored_when_it_is_seen_in_another_arm(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open()
        seen = {"metric": "spend", "value": 1.0}
        assert await world.tell(world.outcome("a", slot="stable", **seen)) == ["counted"]
        world.now += 10
        assert await world.tell(world.outcome("a", slot="candidate-a", **seen)) == ["moved"]
        world.now += 10
        assert await world.tell(world.outcome("a", slot="stable", **seen)) == ["moved"]
        before_the_move = world.now - 15
        assert await world.tell(world.outcome("a", slot="stable", at=before_the_move, **seen)) == ["counted"]
        epoch = (await world.sums()).epochs[0]
        assert epoch.units == {"stable": 1}
        assert epoch.metrics["spend"]["stable"].numerator == 2.0

    on_outcomes(action)


def test_user_is_censored_when_the_ramp_moved_it_and_no_slot_is_told(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open(weights={"stable": 900, "candidate-a": 100})
        mover = next(
            u
            for u in (f"user-{i}" for i in range(9999))
            if (assign([u], (900, 100), SALT)[0], assign([u], (500, 500), SALT)[0]) == (0, 1)
        )
        assert await world.tell(world.outcome(mover)) == ["counted"]
        await world.store.start_epoch("x", 1, {"stable": 500, "candidate-a": 500}, world.now + 1)
        world.now += 5
        assert await world.tell(world.outcome(mover, metric="conversion", value=1.0)) == ["moved"]
        assert await world.tell(world.outcome(mover, at=world.now - 4.5, metric="conversion", value=1.0)) == ["counted"]

    on_outcomes(action)


def test_user_is_left_out_when_held_out(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open(holdoutPercent=10)
        users = [f"user-{i}" for i in range(300)]
        statuses = await world.tell(*(world.outcome(user) for user in users))
        held = [int(value) % 1000 < 100 for value in assignment_hashes(users, SALT)]
        assert [status == "holdout" for status in statuses] == held
        assert any(held)

    on_outcomes(action)


def test_outcome_is_joined_when_it_only_names_the_request(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open()
        await world.tell(world.outcome("a", slot="candidate-a", request_id="r1"))
        world.now += 1
        late = world.outcome(None, request_id="r1", metric="spend", value=2.0)
        both = [
            world.outcome(None, request_id="r2", metric="spend", value=5.0),
            world.outcome("b", slot="stable", request_id="r2"),
        ]
        lost = world.outcome(None, request_id="r3", metric="spend", value=7.0)
        assert await world.tell(late, *both, lost) == ["counted", "counted", "counted", "unassigned"]
        epoch = (await world.sums()).epochs[0]
        assert epoch.units == {"candidate-a": 1, "stable": 1}
        assert {arm: sums.numerator for arm, sums in epoch.metrics["spend"].items()} == {"candidate-a": 2, "stable": 5}

    on_outcomes(action)


def test_requests_are_the_units_when_the_split_is_random(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open(unit="request")
        first = world.outcome("a", request_id="r1", slot="stable")
        other = world.outcome("a", request_id="r2", slot="candidate-a")
        unknown = world.outcome("a", request_id="r3")
        assert await world.tell(first, other, unknown) == ["counted", "counted", "unassigned"]
        told = world.outcome(None, request_id="r1", metric="conversion", value=1.0)
        assert await world.tell(told, world.outcome("a", slot="stable")) == ["counted", "unassigned"]
        assert (await world.sums()).epochs[0].units == {"stable": 1, "candidate-a": 1}

    on_outcomes(action)


def test_different_units_are_counted_when_seen_in_a_time(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        assert await world.store.seen(MODEL, by_user=True, since=START) == UnitsSeen(units=0, first_at=None)
        await world.open()
        early, inside = world.outcome("early"), START + 50.0
        await world.tell(
            dataclasses.replace(early, at=START - 10.0),
            dataclasses.replace(world.outcome("a", request_id="r1"), at=inside),
            world.outcome("a", request_id="r2"),
            world.outcome("b"),
            world.outcome(None, request_id="r1"),
            world.outcome("elsewhere", model="research_pattern_predictor"),
        )
        seen = {
            (by_user, since): await world.store.seen(MODEL, by_user=by_user, since=since)
            for by_user in (True, False)
            for since in (START - 20.0, START)
        }
        assert seen == {
            (True, START - 20.0): UnitsSeen(units=3, first_at=START - 10.0),
            (True, START): UnitsSeen(units=2, first_at=inside),
            (False, START - 20.0): UnitsSeen(units=2, first_at=inside),
            (False, START): UnitsSeen(units=2, first_at=inside),
        }

    on_outcomes(action)


def test_only_outcomes_that_name_no_slot_are_unassigned_when_weights_are_changing(on_outcomes: OnOutcomes) -> None:
    async def action(world: World) -> None:
        await world.open()
        known = user_in(1)
        await world.tell(world.outcome(known))
        await world.store.start_epoch("x", 1, {"stable": 0, "candidate-a": 0}, world.now + 1)
        await world.store.start_epoch("x", 2, {"stable": 400, "candidate-a": 600}, world.now + 4)
        world.now += 3
        told = [
            world.outcome("new"),
            world.outcome("new", slot="stable", metric="spend", value=1.0),
            world.outcome("newer", metric="spend", value=1.0),
            world.outcome(known, metric="spend", value=2.0),
        ]
        results = await world.store.ingest(told)
        assert [result.status for result in results] == ["unassigned", "counted", "unassigned", "counted"]
        assert results[0].message == "slot: without it the arm is not known, for the weights were changing then"
        sums = await world.sums()
        assert sums.epochs[1].units == {"stable": 1}
        assert sums.epochs[0].metrics["spend"]["candidate-a"].numerator == 2.0
        assert await world.tell(dataclasses.replace(told[2], id="again", at=world.now + 2)) == ["counted"]

    on_outcomes(action)
