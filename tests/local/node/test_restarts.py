from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local.node.restarts import FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS, STABLE_SECONDS, Restarts


def test_start_is_allowed_at_once_when_nothing_has_happened() -> None:
    assert Restarts().may_start(0.0)


def test_delay_doubles_when_the_process_ends_quickly_again() -> None:
    history = Restarts().started(0.0).ended(1.0)
    assert history.delay_seconds == FIRST_DELAY_SECONDS
    assert not history.may_start(1.0)
    assert history.may_start(1.0 + FIRST_DELAY_SECONDS)
    assert history.started(2.0).ended(3.0).delay_seconds == 2 * FIRST_DELAY_SECONDS


def test_delay_begins_anew_when_the_process_had_run_for_long() -> None:
    history = Restarts(delay_seconds=LONGEST_DELAY_SECONDS).started(0.0).ended(STABLE_SECONDS)
    assert history.delay_seconds == FIRST_DELAY_SECONDS
    assert history.ends == 1


@given(st.lists(st.floats(min_value=0.0, max_value=2 * STABLE_SECONDS), max_size=40))
def test_delay_stays_within_its_bounds_when_runs_have_any_length(lengths: list[float]) -> None:
    history, now = Restarts(), 0.0
    for length in lengths:
        history = history.started(now).ended(now + length)
        now = history.not_before
        assert FIRST_DELAY_SECONDS <= history.delay_seconds <= LONGEST_DELAY_SECONDS
    assert history.ends == len(lengths)
