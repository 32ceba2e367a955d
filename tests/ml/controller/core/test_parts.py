"""The pure parts on their own: the fold, the route, the dispersion of requests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.controller.dispersion import Dispersion, read_dispersion
from ml.controller.fold import fold, ramp_target
from ml.controller.observation import Observation
from ml.controller.ports import RouteState, SlotState
from ml.controller.routing import wanted_route
from ml.controller.state import ExperimentState
from ml.events.types import (
    AnyEvent,
    CommandHandled,
    CommandIssued,
    EpochStarted,
    PhaseEntered,
    SequenceStarted,
    StepDone,
)
from ml.experiments.ramp import weights_at
from tests.ml.controller.core.simulated_model import LONG
from tests.ml.controller.core.world import two_arms

AT = st.floats(0, 2e9)
events = st.one_of(
    st.builds(PhaseEntered, at=AT, phase=st.sampled_from(["Ramping", "Running", "Promoted"]), reason=st.just("x")),
    st.builds(EpochStarted, at=AT, index=st.integers(0, 3), weights=st.just({"stable": 500, "candidate-a": 500})),
    st.builds(
        CommandIssued,
        at=AT,
        command=st.sampled_from("abc"),
        action=st.sampled_from(["pause", "resume", "rollback", "stop"]),
        arm=st.sampled_from([None, "candidate-a", "candidate-z"]),
        by=st.just("ada"),
        why=st.just("why"),
        source=st.just("api"),
    ),
    st.builds(CommandHandled, at=AT, command=st.sampled_from("abc"), accepted=st.booleans(), message=st.just("")),
    st.builds(
        SequenceStarted,
        at=AT,
        sequence=st.sampled_from(["promote", "rollback"]),
        arm=st.just("candidate-a"),
        outcome=st.just("Promoted"),
    ),
    st.builds(StepDone, at=AT, step=st.sampled_from(["measured", "released", "nonsense"])),
)


def running_state() -> ExperimentState:
    world = two_arms()
    world.create(primary=LONG)
    world.run(30, until=lambda: world.state().phase == "Running")
    return world.state()


@pytest.fixture(scope="module")
def running() -> ExperimentState:
    return running_state()


@given(stream=st.lists(events, max_size=12))
def test_any_sequence_of_events_gives_a_state_when_it_is_folded(stream: list[AnyEvent]) -> None:
    state = fold(stream)
    assert len(state.epochs) <= len(stream)
    assert state.last_at == max((event.at for event in stream), default=0.0)


@given(stream=st.lists(events, max_size=12))
def test_fold_is_the_same_when_it_is_done_in_two_parts(running: ExperimentState, stream: list[AnyEvent]) -> None:
    for cut in range(len(stream) + 1):
        assert fold(stream[cut:], fold(stream[:cut], running)) == fold(stream, running)


readiness = st.sampled_from([True, False, None])


@given(
    stable=readiness,
    candidate=readiness,
    written=st.integers(0, 1000),
    sequence=st.sampled_from(["", "promote", "rollback"]),
    done=st.lists(st.sampled_from(["weight_to_winner", "stable_ready"]), unique=True),
)
def test_no_slot_gains_weight_when_it_is_not_known_to_be_ready(
    running: ExperimentState, stable: bool | None, candidate: bool | None, written: int, sequence: str, done: list[str]
) -> None:
    state = running
    if sequence:
        started = SequenceStarted(at=0.0, sequence=sequence, arm="candidate-a", outcome="Promoted")  # pyright: ignore[reportArgumentType] drawn from the allowed words
        state = fold([started, *(StepDone(at=0.0, step=step) for step in done)], state)
    known = {"stable": stable, "candidate-a": candidate}
    now = RouteState(weights={"stable": 1000 - written, "candidate-a": written}, salt_index=0)
    slots = {
        slot: SlotState(slot=slot, ready_pods=int(ready), serving_version=1)
        for slot, ready in known.items()
        if ready is not None
    }
    route = wanted_route(state, Observation(written=now, in_force=now, slots=slots), 0.0)
    if route is None:
        assert not (stable and candidate)
        return
    assert sum(route.weights.values()) == 1000
    for slot, ready in known.items():
        assert ready or route.weights[slot] <= now.weights[slot]
        if ready is False:
            assert route.weights[slot] == 0


def test_target_grows_by_small_steps_when_the_ramp_is_far_ahead(running: ExperimentState) -> None:
    ramp = replace(running.specification.ramp, seconds=600.0, steps=60)
    specification = replace(running.specification, ramp=ramp)
    due = weights_at(specification, 600.0)
    assert ramp_target(specification, {"stable": 992, "candidate-a": 8}, due) == {"stable": 982, "candidate-a": 18}
    assert ramp_target(specification, {"stable": 501, "candidate-a": 499}, due) == {"stable": 500, "candidate-a": 500}


def test_dispersion_is_pearsons_statistic_over_its_degrees_of_freedom() -> None:
    # Two arms: 10, 30 of 100 and 100 (share 0.2); 5, 5 of 50 and 50 (share 0.1, no variation at all).
    found = Dispersion()
    for arm, hits, requests in (("a", 10, 100), ("a", 30, 100), ("b", 5, 50), ("b", 5, 50)):
        found = found.add(arm, 0, requests, hits)
    chi_square = 2 * 10**2 / (100 * 0.2 * 0.8)
    assert found.factor == pytest.approx(chi_square / 2)
    assert read_dispersion(found.document()) == found


def test_dispersion_is_near_one_when_requests_are_independent_and_above_when_they_are_not() -> None:
    random = np.random.default_rng(5)
    independent, alike = Dispersion(), Dispersion()
    for stretch in range(400):
        independent = independent.add("a", stretch // 40, 200, int(random.binomial(200, 0.05)))
        alike = alike.add("a", stretch // 40, 200, int(random.binomial(200, random.beta(1, 19))))
    assert independent.factor == pytest.approx(1.0, abs=0.25)
    assert alike.factor > 5


def test_dispersion_says_nothing_when_nothing_can_vary() -> None:
    assert Dispersion().factor == 1.0
    assert Dispersion().add("a", 0, 100, 0).add("a", 0, 100, 0).factor == 1.0
    assert Dispersion().add("a", 0, 0, 0).factor == 1.0
