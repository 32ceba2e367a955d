"""No data is never evidence: whatever sources leave out, claim or repeat, nobody is promoted or rolled back for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ml.controller.evidence import gather
from ml.controller.ports import RequestCounts, RequestWindow
from ml.controller.state import ExperimentState
from ml.events.ports import OutcomeSums
from tests.ml.controller.core.simulated_model import LONG, START
from tests.ml.controller.core.simulated_ports import unavailable
from tests.ml.controller.core.world import World, two_arms

DECISIVE = {"Promoting", "Promoted", "RollingBack", "RolledBack"}


def at_first_epoch(**candidate: Any) -> World:
    world = two_arms(**candidate)
    world.create()
    world.run(20, until=lambda: bool(world.state().epochs))
    return world


def never_decided(world: World) -> bool:
    actions = {event.decision["action"] for event in world.events() if event.type == "DecisionMade"}
    return not actions & {"promote", "roll back"}


def test_experiment_holds_and_ends_inconclusive_when_metrics_store_is_away() -> None:
    world = two_arms(converts=0.7)
    world.create()

    def gate(port: str, method: str, when: str) -> None:
        if port == "requests":
            raise unavailable(port)

    world.gate = gate
    world.run(60)
    assert world.state().phase == "HoldNoData"
    state = world.run_to_end()
    assert state.phase == "Inconclusive"
    assert never_decided(world)


def test_experiment_holds_when_nobody_reports_outcomes() -> None:
    world = two_arms(converts=0.7)
    world.reporting = False
    world.create()
    state = world.run_to_end()
    assert state.phase == "Inconclusive"
    assert "HoldNoData" in world.phases()
    assert never_decided(world)


def test_decision_comes_when_data_come_back_after_a_hold() -> None:
    world = two_arms(converts=0.7)
    world.scraping = world.reporting = False
    world.create()
    world.run(60)
    assert world.state().phase == "HoldNoData"
    world.scraping = world.reporting = True
    assert world.run_to_end().phase == "Promoted"


def test_experiment_holds_when_scrapes_stop_in_the_middle() -> None:
    world = two_arms()
    world.create(primary=LONG)
    world.run(60)
    world.scraping = False
    world.run(60)
    assert world.state().phase == "HoldNoData"
    assert never_decided(world)


def test_better_candidate_is_not_promoted_when_its_latency_is_never_measured() -> None:
    world = two_arms(converts=0.7)
    world.create()
    blind = _without_latency(world, "candidate-a")
    world.run(300, until=lambda: blind(world) or world.state().is_final)
    assert world.state().phase == "Inconclusive"
    assert never_decided(world)


def _without_latency(world: World, slot: str) -> Any:
    def blind(world: World) -> bool:
        world.request_log = [replace(c, above={}) if c.slot == slot else c for c in world.request_log]
        return False

    return blind


@pytest.mark.parametrize("skew", [-60.0, 60.0])
def test_end_is_the_same_when_the_metrics_store_has_another_clock(skew: float) -> None:
    world = two_arms(slow=0.4)
    world.create(noData={"staleAfterSeconds": 120, "timeoutSeconds": 600})
    world.skew_seconds = skew
    state = world.run_to_end()
    assert state.phase == "RolledBack"
    assert state.decision["reasons"][-1]["metric"] == "latency"


def test_nothing_counts_twice_when_samples_are_repeated() -> None:
    world = two_arms()
    world.create(primary=LONG)
    world.run(60)
    world.request_log = [item for item in world.request_log for _ in range(3)]
    world.run(30)
    state = world.state()
    history = state.chain.history()
    assert history is not None
    assert state.started_at is not None
    counted = sum(e.metrics["errors"]["candidate-a"].n for e in history.epochs)
    unique = {(c.started_at, c.requests) for c in world.request_log if c.slot == "candidate-a"}
    whole = [n for at, n in unique if at >= state.started_at and at + 5 <= state.cursors["requests"]["candidate-a"]]
    assert counted == sum(whole)


number = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.integers(-5, 2000).map(float))
moment = st.one_of(st.floats(START - 100, START + 400), st.just(math.nan), st.just(math.inf))
stretches = st.builds(
    RequestCounts,
    slot=st.sampled_from(["stable", "candidate-a", "candidate-z"]),
    started_at=moment,
    ended_at=moment,
    requests=number,
    failed=number,
    above=st.dictionaries(st.sampled_from([50, 100]), number, max_size=2),
)


def served(requests: float, started_at: float = START + 10) -> RequestCounts:
    return RequestCounts(
        slot="stable", started_at=started_at, ended_at=started_at + 10, requests=requests, failed=0.0, above={100: 0.0}
    )


@pytest.fixture(scope="module")
def early() -> ExperimentState:
    return at_first_epoch().state()


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(counts=st.lists(stretches, max_size=12), newest=st.one_of(st.none(), moment))
@example(counts=[served(2.0**53 + 2)], newest=START)
@example(counts=[served(2.0**53), served(2.0**53, started_at=START + 20)], newest=START)
def test_history_is_sound_and_nothing_counts_twice_when_metrics_are_nonsense(
    early: ExperimentState, counts: Sequence[RequestCounts], newest: float | None
) -> None:
    window = RequestWindow(counts=counts, newest_at=newest)
    now = START + 300
    once = gather(early, None, window, now)
    twice = gather(early, None, RequestWindow(counts=[*counts, *counts], newest_at=newest), now)
    assert once.history == twice.history
    assert once.history.last_data_at is None, "outcomes have never been heard of"
    for epoch in once.history.epochs:
        for arms in epoch.metrics.values():
            for arm, sums in arms.items():
                sound = [c.requests for c in counts if c.slot == arm and c.ended_at <= now and c.requests >= 0]
                assert 0 <= sums.numerator <= sums.n <= sum(round(n) for n in sound if math.isfinite(n))


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nobody_is_promoted_or_rolled_back_when_all_sources_say_nonsense(data: st.DataObject) -> None:
    world = two_arms()
    world.create()
    world.scraping = world.reporting = False
    for _ in range(data.draw(st.integers(2, 12))):
        world.request_log = [
            replace(item, requests=math.nan) if item.slot == "candidate-a" else item
            for item in data.draw(st.lists(stretches, max_size=4))
        ]
        world.newest_outcome = data.draw(st.one_of(st.none(), moment))
        world.run(data.draw(st.integers(1, 30)))
    assert never_decided(world)
    assert not {*world.phases()} & {"Promoting", "Promoted", "RolledBack"}


def test_what_was_known_stands_and_grows_old_when_the_outcome_store_is_away() -> None:
    world = two_arms()
    world.create(primary=LONG)
    world.run(60)
    state = world.state()
    known = state.chain.history()
    assert known is not None
    again = gather(state, None, None, world.now + 100).history
    assert again.epochs == known.epochs
    assert again.last_data_at == known.last_data_at


def test_empty_answer_of_the_outcome_store_is_not_taken_for_zero() -> None:
    world = two_arms()
    world.create(primary=LONG)
    world.run(60)
    empty: Mapping[int, Any] = {}
    found = gather(world.state(), OutcomeSums(epochs=empty, newest_at=None), None, world.now).history
    assert all("converted" not in epoch.metrics for epoch in found.epochs)
    assert found.last_data_at is None
