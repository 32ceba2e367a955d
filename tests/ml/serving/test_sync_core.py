"""Version sync's decisions, through histories that a slot may live through."""

from __future__ import annotations

import pytest

from ml.serving.sync_core import Memory, Observed, Remove, ServedVersion, Wanted, decide_sync
from tests.ml.serving.world import LOAD_TIMEOUT_SECONDS, World


def settled(world: World, ticks: int = 8) -> World:
    for _ in range(ticks):
        world.tick()
    return world


def serving(version: int) -> World:
    world = World()
    world.set_alias(version)
    return settled(world)


def state(world: World) -> tuple[str, bool, int | None]:
    assert world.verdict is not None
    return world.verdict.phase, world.verdict.ready, world.verdict.serving


def test_version_is_fetched_once_and_served_when_the_alias_appears() -> None:
    world = World()
    settled(world)
    assert state(world) == ("empty", False, None)
    world.set_alias(3)
    settled(world)
    assert state(world) == ("serving", True, 3)
    assert world.fetches == [3]
    assert set(world.placed) == {3}


def test_slot_is_not_ready_when_its_first_version_is_not_warm() -> None:
    world = World()
    world.set_alias(1)
    world.run_sync()
    world.run_server()
    world.run_sync()
    assert world.verdict is not None
    assert not world.verdict.ready
    world.tick()
    world.tick()
    assert state(world) == ("serving", True, 1)


def test_new_version_replaces_and_old_one_is_parked_when_the_alias_moves() -> None:
    world = serving(4)
    world.set_alias(5)
    settled(world)
    assert state(world) == ("serving", True, 5)
    assert (set(world.placed), set(world.parked)) == ({5}, {4})
    world.set_alias(6)
    settled(world)
    assert (set(world.placed), set(world.parked)) == ({6}, {5})
    assert world.fetches == [4, 5, 6]


def test_lower_version_comes_back_without_download_when_the_alias_moves_back() -> None:
    world = serving(4)
    world.set_alias(5)
    settled(world)
    world.set_alias(4)
    settled(world)
    assert state(world) == ("serving", True, 4)
    assert world.available() == {4}
    assert world.fetches == [4, 5]


def test_old_version_keeps_serving_when_the_new_one_does_not_load() -> None:
    world = serving(4)
    world.broken.add(5)
    world.set_alias(5)
    settled(world)
    assert state(world) == ("failed", True, 4)
    assert world.memory.failed == "DATA_LOSS: damaged"
    assert set(world.placed) == {4}
    settled(world, 50)
    assert world.fetches == [4, 5]


def test_failed_version_is_tried_again_when_the_alias_was_elsewhere_in_between() -> None:
    world = serving(4)
    world.broken.add(5)
    world.set_alias(5)
    settled(world)
    world.set_alias(4)
    settled(world)
    assert state(world) == ("serving", True, 4)
    world.broken.clear()
    world.set_alias(5)
    settled(world)
    assert state(world) == ("serving", True, 5)
    assert world.fetches == [4, 5, 5]


def test_higher_version_comes_back_when_the_lower_one_does_not_load() -> None:
    world = serving(5)
    world.broken.add(4)
    world.set_alias(4)
    settled(world)
    assert state(world) == ("failed", True, 5)
    assert set(world.placed) == {5}
    world.restart_server()
    settled(world)
    assert state(world) == ("failed", True, 5)


def test_slot_is_not_ready_when_its_only_version_does_not_load() -> None:
    world = World()
    world.broken.add(1)
    world.set_alias(1)
    settled(world)
    assert state(world) == ("failed", False, None)
    assert not world.placed
    world.set_alias(2)
    settled(world)
    assert state(world) == ("serving", True, 2)


def test_version_has_failed_when_it_loads_but_does_not_answer() -> None:
    world = serving(4)
    world.mute.add(5)
    world.set_alias(5)
    settled(world, 12)
    assert state(world) == ("failed", True, 4)
    assert world.memory.failed == "warm-up prediction: answered 500"
    assert world.available() == {4}


def test_version_is_served_when_it_answers_at_the_second_attempt() -> None:
    world = serving(4)
    world.mute.add(5)
    world.set_alias(5)
    while world.memory.warm_up_failures < 1:
        world.tick()
    world.mute.clear()
    settled(world)
    assert state(world) == ("serving", True, 5)


def test_only_version_is_kept_and_asked_again_when_it_does_not_answer() -> None:
    world = World(mute={1})
    world.set_alias(1)
    settled(world, 12)
    assert state(world) == ("failed", False, None)
    assert world.available() == {1}
    world.mute.clear()
    settled(world)
    assert state(world) == ("serving", True, 1)
    assert world.fetches == [1]


def test_version_has_failed_when_it_takes_too_long() -> None:
    world = World()
    world.set_alias(1)
    world.run_sync()
    world.server_up = False
    for _ in range(int(LOAD_TIMEOUT_SECONDS) + 3):
        world.tick()
    assert state(world) == ("failed", False, None)
    assert world.memory.failed == "after 60 s loading, and the server does not answer"


def test_server_error_is_kept_when_loading_takes_too_long() -> None:
    wanted = Wanted(1, "a")
    observed = Observed(
        registry_reachable=True,
        wanted=wanted,
        placed={1: "a"},
        parked={},
        server={1: ServedVersion("LOADING", "UNKNOWN: disk is slow")},
    )
    verdict = decide_sync(Memory(wanted=wanted, loading_since=0.0), observed, 61.0, load_timeout_seconds=60.0)
    assert verdict.phase == "failed"
    assert verdict.memory.failed == "after 60 s still LOADING: UNKNOWN: disk is slow"
    assert verdict.actions == (Remove(1),)


def test_slot_stays_ready_when_the_registry_is_down() -> None:
    world = serving(4)
    world.registry_up = False
    settled(world, 100)
    assert state(world) == ("serving", True, 4)
    world.restart_sync()
    settled(world)
    assert state(world) == ("serving", True, 4)
    world.restart_server()
    settled(world)
    assert state(world) == ("serving", True, 4)


def test_nothing_is_touched_when_the_registry_never_answered() -> None:
    world = World(placed={7: "x"}, registry_up=False)
    settled(world)
    assert state(world)[:2] == ("starting", False)
    assert set(world.placed) == {7}


def test_everything_is_removed_when_the_alias_is_removed() -> None:
    world = serving(4)
    world.set_alias(5)
    settled(world)
    world.set_alias(None)
    settled(world)
    assert state(world) == ("empty", False, None)
    assert not world.placed
    assert not world.parked
    assert not world.available()


def test_version_is_fetched_anew_when_the_registry_was_set_up_anew() -> None:
    world = serving(1)
    world.set_alias(1, "another registry's version 1")
    settled(world)
    assert state(world) == ("serving", True, 1)
    assert world.placed == {1: "another registry's version 1"}
    assert world.fetches == [1, 1]


def test_pause_between_downloads_grows_when_they_fail() -> None:
    world = World(download_works=False)
    world.set_alias(1)
    settled(world, 120)
    assert state(world) == ("fetching", False, None)
    assert 5 <= len(world.fetches) <= 9
    assert world.memory.fetch_error == "no space left"
    world.download_works = True
    settled(world, 40)
    assert state(world) == ("serving", True, 1)
    assert world.memory.fetch_error == ""


def test_version_is_warmed_up_again_when_the_server_was_restarted() -> None:
    world = serving(1)
    assert world.memory.warm == 1
    world.restart_server()
    world.run_sync()
    assert world.memory.warm is None
    assert world.verdict is not None
    assert not world.verdict.ready
    settled(world)
    assert state(world) == ("serving", True, 1)


@pytest.mark.parametrize("die_after", [0, 1, 2])
def test_end_is_the_same_when_sync_is_killed_between_actions(die_after: int) -> None:
    for target in (3, 5):
        world = serving(4)
        world.set_alias(target)
        for _ in range(6):
            world.tick(die_after)
        settled(world)
        assert state(world) == ("serving", True, target)
        assert set(world.placed) == {target}
