"""Stored decisions: any history comes back, every decision is derived again, every change is found."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.events.decisions import (
    Chain,
    canonical,
    history_document,
    history_from,
    merge_patch,
    merged,
    rebuild,
    record,
    replay,
)
from ml.events.ports import Stored
from ml.events.types import DecisionMade
from ml.events.upcasting import UnreadableEventError, from_text, to_text
from ml.experiments.decision import decide
from ml.experiments.history import EpochRecord, History, LookRecord
from ml.experiments.ratio import RatioSums, proportion_sums, ratio_sums
from tests.ml.events.lives import SPECIFICATION, created, entered

ARMS: tuple[str, ...] = ("stable", "candidate-a")
_finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
_counts = st.integers(0, 10**9)


@st.composite
def _sums(draw: st.DrawFn) -> RatioSums:
    values = draw(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=4))
    if draw(st.booleans()):
        hits = draw(st.integers(0, 100))
        return proportion_sums(hits, hits + draw(st.integers(1, 100)))
    return ratio_sums(values, [1.0] * len(values))


_arms: st.SearchStrategy[str] = st.sampled_from(list(ARMS))
_metrics = st.dictionaries(st.sampled_from(["conversion", "errors", "é"]), st.dictionaries(_arms, _sums(), max_size=2))


@st.composite
def histories(draw: st.DrawFn) -> History:
    starts = sorted(draw(st.lists(st.floats(0, 1e10), max_size=4)))
    look_times = sorted(draw(st.lists(st.floats(0, 1e10), max_size=3)))
    epochs = tuple(
        EpochRecord(
            started_at=at,
            weights={"stable": draw(_counts), "candidate-a": draw(_counts)},
            units=draw(st.dictionaries(_arms, _counts)),
            metrics=draw(_metrics),
        )
        for at in starts
    )
    looks = tuple(
        LookRecord(
            at=at,
            fractions={"candidate-a": draw(st.floats(1e-9, 1.0))},
            crossed=draw(st.sampled_from([(), ("candidate-a",)])),
            final=draw(st.booleans()),
        )
        for at in look_times
    )
    return History(
        started_at=draw(_finite),
        epochs=epochs,
        looks=looks,
        dropped=draw(st.sampled_from([(), ("candidate-a",)])),
        last_data_at=draw(st.none() | _finite),
        variance_inflation=draw(st.dictionaries(st.sampled_from(["errors", "x"]), st.floats(1.0, 100.0))),
    )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(histories(), min_size=1, max_size=4))
def test_histories_come_back_bit_for_bit_when_only_changes_are_stored(sequence: list[History]) -> None:
    document: dict[str, Any] = {}
    for history in sequence:
        change = json.loads(canonical(merge_patch(document, history_document(history))))
        document = merged(document, change)
        assert history_from(document) == history
        assert canonical(history_document(history_from(document))) == canonical(history_document(history))


_documents = st.recursive(
    st.booleans() | st.integers() | _finite | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=10,
)
_objects = st.dictionaries(st.text(max_size=2), _documents, max_size=4)


@settings(max_examples=300, deadline=None)
@given(_objects, _objects)
def test_patch_turns_one_document_into_the_other_when_applied(before: dict[str, Any], after: dict[str, Any]) -> None:
    kept = canonical(before)
    assert canonical(merged(before, merge_patch(before, after))) == canonical(after)
    assert canonical(before) == kept, "nothing is changed in place"
    assert merge_patch(after, after) == {}


def _life(steps: int = 6, drift: float = 0.0) -> list[Stored]:
    """The stream of an experiment that is looked at some times while data arrive."""
    rng = np.random.default_rng(5)
    events: list[Any] = [created(), entered("Ramping")]
    chain, looks = Chain(), ()
    units = dict.fromkeys(ARMS, 0)
    hits = dict.fromkeys(ARMS, 0)
    for step in range(steps):
        at = 2000.0 + 30 * step
        for arm, rate in zip(ARMS, (0.05, 0.05 + drift), strict=True):
            units[arm] += 700
            hits[arm] += int(rng.binomial(700, rate))
        epoch = EpochRecord(
            started_at=1990.0,
            weights={"stable": 500, "candidate-a": 500},
            units=dict(units),
            metrics={
                "conversion": {arm: proportion_sums(hits[arm], units[arm]) for arm in ARMS},
                "errors": {arm: proportion_sums(step, 2 * units[arm]) for arm in ARMS},
            },
        )
        history = History(
            started_at=1990.0, epochs=(epoch,), looks=looks, last_data_at=at - 3, variance_inflation={"errors": 1.25}
        )
        decision = decide(SPECIFICATION, history, at)
        event = record(chain, SPECIFICATION, history, decision, {"stable": at})
        chain = chain.after(event)
        looks = (*looks, decision.look) if decision.look else looks
        events.append(event)
    return [Stored(stream="experiment-uid-1", position=n, event=event) for n, event in enumerate(events, 1)]


@pytest.mark.parametrize("drift", [0.0, 0.02, -0.03])
def test_every_decision_is_derived_again_when_nothing_was_touched(drift: float) -> None:
    stream = _life(drift=drift)
    stored = [dataclasses.replace(item, event=from_text(to_text(item.event))) for item in stream]
    replayed = replay(stored)
    assert [item.position for item in replayed] == [3, 4, 5, 6, 7, 8]
    assert all(item.ok and item.identical and item.chain_ok and item.inputs_ok for item in replayed)
    assert rebuild(stored) == rebuild(stream)
    newest = rebuild(stored).history()
    assert newest is not None
    assert newest.epochs[0].units == {"stable": 4200, "candidate-a": 4200}


def test_changes_stay_small_when_the_history_is_long() -> None:
    stream = _life(steps=6)
    sizes = [len(canonical(item.event.inputs)) for item in stream if isinstance(item.event, DecisionMade)]
    assert max(sizes[1:]) < sizes[0] + 150, "a later decision stores what changed, not all looks again"


def _with_text(stream: list[Stored], place: int, text: str) -> list[Stored] | None:
    try:
        event = from_text(text)
    except UnreadableEventError:
        return None
    return [dataclasses.replace(item, event=event) if n == place else item for n, item in enumerate(stream)]


def test_event_is_unreadable_when_a_number_in_it_is_not_finite() -> None:
    text = re.sub(r'"at": ?[0-9.]+', '"at":1e999', to_text(_LIFE[3].event), count=1)
    with pytest.raises(UnreadableEventError, match="1e999 is no finite number"):
        from_text(text)


@settings(max_examples=250, deadline=None)
@given(st.integers(2, 5), st.integers(0, 10**6), st.integers(32, 126))
def test_a_changed_byte_of_a_stored_decision_is_found_when_it_changes_the_meaning(
    place: int, offset: int, byte: int
) -> None:
    stream = _LIFE
    text = to_text(stream[place].event)
    offset %= len(text)
    changed = f"{text[:offset]}{chr(byte)}{text[offset + 1 :]}"
    tampered = _with_text(stream, place, changed)
    if tampered is None or to_text(tampered[place].event) == text:
        return  # it cannot be read any more, or it says the same as before
    replayed = replay(tampered)
    assert len(replayed) < 4 or not all(item.ok for item in replayed)


_LIFE = _life(steps=4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"at": 2031.0}, "input_hash"),
        ({"cursors": {"stable": 0.0}}, "hash is not the hash of what is stored"),
        ({"previous_hash": "0" * 64}, "the decision before has"),
        ({"inputs": {}}, "input_hash"),
    ],
)
def test_replay_says_what_is_wrong_when_a_field_was_changed(change: dict[str, Any], said: str) -> None:
    stream = list(_LIFE)
    stream[3] = dataclasses.replace(stream[3], event=stream[3].event.model_copy(update=change))
    assert any(said in problem for problem in replay(stream)[1].problems)


def test_replay_finds_it_when_a_decision_is_missing_or_exchanged() -> None:
    missing = [item for item in _LIFE if item.position != 4]
    assert not replay(missing)[1].chain_ok
    exchanged = [*_LIFE[:3], _LIFE[4], _LIFE[3], *_LIFE[5:]]
    assert not all(item.ok for item in replay(exchanged))


def test_replay_finds_it_when_the_specification_was_changed() -> None:
    event = _LIFE[0].event.model_copy(update={"specification": {**created().specification, "planned_n": 9000}})
    replayed = replay([dataclasses.replace(_LIFE[0], event=event), *_LIFE[1:]])
    assert not any(item.inputs_ok for item in replayed)


def test_replay_tells_and_does_not_raise_when_the_stream_is_nonsense() -> None:
    broken = created().model_copy(update={"specification": {"control": 3}})
    replayed = replay([dataclasses.replace(_LIFE[0], event=broken), *_LIFE[1:]])
    assert "the specification cannot be read" in replayed[0].problems[0]
    assert "does not begin with" in replay(_LIFE[1:])[0].problems[0]
    made = _LIFE[2].event
    assert isinstance(made, DecisionMade)
    no_history = made.model_copy(update={"inputs": {"epochs": {"7": {}}}})
    replayed = replay([*_LIFE[:2], dataclasses.replace(_LIFE[2], event=no_history)])
    assert any("cannot be decided again" in problem for problem in replayed[0].problems)
