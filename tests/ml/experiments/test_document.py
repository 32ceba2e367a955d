"""Records of decisions: written as JSON, read back, and decided again to the last bit."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bench.experiments import experiment
from ml.experiments.decision import decide
from ml.experiments.document import history_from_document, replay, specification_from_document, to_document
from ml.experiments.history import LookRecord
from ml.experiments.looks import forget_paths


def record() -> tuple[dict[str, Any], Any]:
    spec, history = experiment(4)
    spec = replace(spec, planned_n=8_000, duration_seconds=9_000.0)
    history = replace(
        history,
        looks=(LookRecord(at=100.0, fractions={"candidate-a": 0.2, "candidate-b": 0.2}),),
        variance_inflation={"primary": 1.3},
    )
    decision = decide(spec, history, 250.0)
    text = json.dumps({"specification": to_document(spec), "history": to_document(history), "at": 250.0})
    return json.loads(text), decision


def test_decision_is_rederived_bit_for_bit_when_read_back_from_json() -> None:
    document, decision = record()
    forget_paths()
    assert replay(document) == decision
    assert to_document(replay(document)) == to_document(decision)
    json.dumps(to_document(decision), allow_nan=False)


def test_round_trip_is_exact_when_written_and_read() -> None:
    document, _ = record()
    assert to_document(specification_from_document(document["specification"])) == document["specification"]
    assert to_document(history_from_document(document["history"])) == document["history"]


@pytest.mark.parametrize(
    ("part", "key", "value", "path"),
    [
        ("specification", "colour", 1, "colour"),
        ("specification", "mode", "bayes", "specification.mode"),
        ("specification", "alpha", "high", "specification.alpha"),
        ("specification", "planned_n", 1.5, "specification.planned_n"),
        ("specification", "treatments", "a", "specification.treatments"),
        ("specification", "primary", {"name": "x"}, "specification.primary lacks"),
        ("specification", "guardrails", [{"name": "x", "harmful": 3}], r"guardrails\[0\].harmful"),
        ("history", "epochs", [{"started_at": 0.0}], r"history.epochs\[0\] lacks"),
        ("history", "variance_inflation", {"m": 0.5}, r"variance_inflation\[m\]"),
        ("history", "started_at", True, "history.started_at"),
    ],
)
def test_path_is_named_when_a_record_is_damaged(part: str, key: str, value: Any, path: str) -> None:
    document, _ = record()
    document[part][key] = value
    with pytest.raises(ValueError, match=path):
        replay(document)


def test_missing_part_is_named_when_a_record_is_incomplete() -> None:
    document, _ = record()
    del document["at"]
    with pytest.raises(ValueError, match="at"):
        replay(document)
