"""Which version is loaded and unloaded next. Pure; that the steps work on real models is shown in test_model.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local.modelserver.lifecycle import Plan, State, VersionState, plan
from local.modelserver.status import Code, StatusError

AVAILABLE = VersionState(State.AVAILABLE)
LOADING = VersionState(State.LOADING)
ENDED = VersionState(State.END)
FAILED = VersionState(State.END, StatusError(Code.DATA_LOSS, "broken"), blocked=True)


def test_new_version_is_loaded_and_old_one_kept_when_it_appears() -> None:
    assert plan(frozenset({2}), {1: AVAILABLE}) == Plan(load=(2,))


def test_old_version_is_unloaded_when_new_one_is_available() -> None:
    assert plan(frozenset({2}), {1: AVAILABLE, 2: AVAILABLE}) == Plan(unload=(1,))


def test_old_version_is_kept_when_new_one_failed() -> None:
    assert plan(frozenset({2}), {1: AVAILABLE, 2: FAILED}) == Plan()


def test_lower_version_is_loaded_before_higher_is_unloaded_when_higher_is_removed() -> None:
    assert plan(frozenset({1}), {1: ENDED, 2: AVAILABLE}) == Plan(load=(1,))
    assert plan(frozenset({1}), {1: AVAILABLE, 2: AVAILABLE}) == Plan(unload=(2,))


def test_everything_is_unloaded_when_nothing_is_wanted() -> None:
    assert plan(frozenset(), {1: AVAILABLE, 2: AVAILABLE}) == Plan(unload=(2, 1))


def test_failed_version_may_be_tried_again_when_it_was_gone_in_between() -> None:
    assert plan(frozenset(), {1: FAILED}) == Plan(unblock=(1,))
    unblocked = VersionState(State.END, FAILED.error, blocked=False)
    assert plan(frozenset({1}), {1: unblocked}) == Plan(load=(1,))


def test_highest_version_is_loaded_first_when_several_are_wanted() -> None:
    assert plan(frozenset({1, 2, 3}), {}) == Plan(load=(3, 2, 1))


versions = st.dictionaries(
    st.integers(1, 4), st.sampled_from([AVAILABLE, LOADING, ENDED, FAILED, VersionState(State.UNLOADING)])
)


@given(wanted=st.frozensets(st.integers(1, 4)), known=versions)
def test_last_answering_version_is_never_unloaded_while_one_is_wanted(
    wanted: frozenset[int], known: dict[int, VersionState]
) -> None:
    steps = plan(wanted, known)
    available = {number for number, version in known.items() if version.state is State.AVAILABLE}
    assert set(steps.unload) <= available - wanted
    assert not set(steps.load) & available
    if wanted and available:
        assert available - set(steps.unload)
