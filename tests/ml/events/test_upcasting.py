"""Older stored forms of events are lifted step by step; what cannot be read is told."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest

from ml.events.types import Event, PhaseEntered
from ml.events.upcasting import UnreadableEventError, Upcasters, from_document, from_text, lift, newest_text, to_text
from tests.ml.events.lives import created


class ThresholdSet(Event):
    """An event of these tests that has had two earlier forms."""

    type: Literal["ThresholdSet"] = "ThresholdSet"
    version: Literal[3] = 3
    limit_millis: int
    by: str


_UPCASTERS: Upcasters = {
    ("ThresholdSet", 1): lambda old: {"at": old["at"], "limit_millis": round(old["limit_seconds"] * 1000)},
    ("ThresholdSet", 2): lambda old: {**old, "by": "unknown"},
}
_CLASSES = {"ThresholdSet": ThresholdSet}


@pytest.mark.parametrize(
    ("stored", "by"),
    [
        ({"type": "ThresholdSet", "at": 5.0, "limit_seconds": 0.25}, "unknown"),
        ({"type": "ThresholdSet", "version": 1, "at": 5.0, "limit_seconds": 0.25}, "unknown"),
        ({"type": "ThresholdSet", "version": 2, "at": 5.0, "limit_millis": 250}, "unknown"),
        ({"type": "ThresholdSet", "version": 3, "at": 5.0, "limit_millis": 250, "by": "ann"}, "ann"),
    ],
)
def test_old_form_is_read_as_the_newest_when_it_was_stored_long_ago(stored: dict[str, Any], by: str) -> None:
    before = json.dumps(stored)
    event = from_document(stored, _UPCASTERS, _CLASSES)
    assert from_text(newest_text(before, _UPCASTERS, _CLASSES), _UPCASTERS, _CLASSES) == event
    assert event.model_dump() == ThresholdSet(at=5.0, limit_millis=250, by=by).model_dump()
    assert json.dumps(stored) == before, "what is stored is not touched"


def test_text_is_passed_on_to_the_letter_when_it_is_in_the_newest_form() -> None:
    text = '{"by": "ann",  "at": 5.00, "type": "ThresholdSet", "limit_millis": 250, "version": 3}'
    assert newest_text(text, _UPCASTERS, _CLASSES) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ("[]", "allowed is an object"),
        ('{"type": "Unheard"}', "type='Unheard'"),
        ('{"type": "PhaseEntered", "version": 2}', "version=2: allowed are versions 1 to 1"),
        ('{"type": "PhaseEntered", "version": "1"}', "version='1'"),
        ('{"type": "PhaseEntered", "version": 1, "at": 1, "phase": "Dancing", "reason": ""}', "phase"),
        ('{"type": "PhaseEntered", "at": 1, "phase": "Running", "reason": "", "more": 1}', "more"),
    ],
)
def test_event_is_refused_with_the_reason_when_it_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(UnreadableEventError, match=said):
        from_text(text)


def test_lifting_names_the_step_when_one_is_missing() -> None:
    with pytest.raises(UnreadableEventError, match="no upcaster leads to version 3"):
        lift({"type": "ThresholdSet", "version": 2}, 3, {})


def test_event_is_not_stored_when_it_holds_no_number() -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_text(created(plan={"days": float("nan")}))
    with pytest.raises(ValueError, match="JSON"):
        to_text(PhaseEntered(at=float("inf"), phase="Running", reason=""))
