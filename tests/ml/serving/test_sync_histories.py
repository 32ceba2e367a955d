"""Version sync through random histories: it always ends right, and never leaves clients without an answer."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ml.serving.world import World

VERSIONS = st.integers(1, 4)
EVENTS = st.one_of(
    st.tuples(st.just("alias"), VERSIONS),
    st.tuples(st.just("break"), VERSIONS),
    st.tuples(st.just("mend"), VERSIONS),
    st.tuples(st.just("mute"), VERSIONS),
    st.tuples(st.just("registry"), st.integers(0, 1)),
    st.tuples(st.just("download"), st.integers(0, 1)),
    st.tuples(st.just("restart sync"), st.just(0)),
    st.tuples(st.just("pass"), st.integers(1, 3)),
    st.tuples(st.just("die"), st.integers(0, 3)),
)


def happen(world: World, event: str, value: int) -> None:
    match event:
        case "alias":
            world.set_alias(value)
        case "break":
            world.broken.add(value)
        case "mend":
            world.broken.discard(value)
            world.mute.discard(value)
        case "mute":
            world.mute.add(value)
        case "registry":
            world.registry_up = bool(value)
        case "download":
            world.download_works = bool(value)
        case "restart sync":
            world.restart_sync()
        case "die":
            world.tick(value)
        case _:
            for _ in range(value):
                world.tick()


@settings(max_examples=300, deadline=None)
@given(events=st.lists(EVENTS, max_size=25), restart=st.booleans())
def test_slot_ends_right_when_anything_happened_before(events: list[tuple[str, int]], restart: bool) -> None:
    world = World()
    for event, value in events:
        happen(world, event, value)
        world.tick()
    # The same alias set again after a mended failure is a new start, as a person would do it.
    world.registry_up = world.download_works = True
    world.broken.clear()
    world.mute.clear()
    if restart:
        world.restart_server()
    world.set_alias(9)
    for _ in range(60):
        world.tick()
    assert world.verdict is not None
    assert (world.verdict.phase, world.verdict.serving, world.verdict.ready) == ("serving", 9, True)
    assert set(world.placed) == {9}
    assert len(world.parked) <= 1
    assert world.available() == {9}


@settings(max_examples=300, deadline=None)
@given(events=st.lists(EVENTS, max_size=25))
def test_some_version_answers_at_all_times_when_one_has_answered_before(events: list[tuple[str, int]]) -> None:
    world = World()
    world.set_alias(9)
    for _ in range(6):
        world.tick()
    assert world.available() == {9}
    for event, value in events:
        happen(world, event, value)
        assert world.available(), (event, value)
        world.tick()
        assert world.available(), (event, value)
        assert world.verdict is not None
        assert world.verdict.serving is not None
        assert world.verdict.ready


@settings(max_examples=100, deadline=None)
@given(ticks=st.integers(1, 200), broken=VERSIONS, restarts=st.lists(st.integers(0, 150), max_size=5))
def test_broken_version_is_fetched_once_when_sync_restarts(ticks: int, broken: int, restarts: list[int]) -> None:
    world = World()
    world.broken.add(broken)
    world.set_alias(broken)
    for tick in range(ticks):
        if tick in restarts:
            world.restart_sync()
        world.tick()
    assert len(world.fetches) <= 1 + len(restarts)
    assert len(world.fetches) <= 2
