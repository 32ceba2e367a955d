"""The spec as people write it: what is filled in, what is refused, and how that is said."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from ml.contracts.abtest import LATENCY_EDGES_MILLIS, AbTestSpec, read_spec, write_spec
from ml.contracts.problems import ProblemsError
from tests.ml.contracts.generated import specs
from tests.ml.contracts.specs import BAD, MODEL, Bad, JsonObject, changed, good

PRIMARY = {"name": "converted", "minimumEffect": 0.02, "baseline": 0.1}


def problems(document: object) -> dict[str, str]:
    with pytest.raises(ProblemsError) as caught:
        read_spec(document)
    return {problem.field: str(problem) for problem in caught.value.problems}


def test_table_of_bad_specs_is_long_enough_when_counted() -> None:
    assert len({(bad.field, json.dumps(bad.document())) for bad in BAD}) >= 200


@pytest.mark.parametrize("bad", [bad for bad in BAD if bad.server], ids=lambda bad: bad.name)
def test_field_value_and_allowed_are_named_when_a_spec_is_bad(bad: Bad) -> None:
    found = problems(bad.document())
    assert bad.field in found
    assert bad.says in found[bad.field]


def test_brief_defaults_are_filled_in_when_little_is_said() -> None:
    spec = read_spec({"model": MODEL, "primary": PRIMARY})
    assert (spec.reconcile_interval_seconds, spec.min_sample_size) == (30, 1000)
    assert (spec.significance_level, spec.power) == (0.05, 0.8)
    assert [(arm.slot, arm.weight_percent) for arm in spec.arms] == [("stable", 50), ("candidate-a", 50)]
    assert spec.ramp.duration_seconds == 3600
    written = write_spec(spec)
    assert written["guardrails"] == [
        {"kind": "latency", "name": "latency", "limitMillis": 100, "exceedancePercent": 5.0},
        {"kind": "errors", "name": "errors", "limitPercent": 5.0},
        {
            "kind": "outcome",
            "name": "correct",
            "aggregation": "mean",
            "harmful": "decrease",
            "marginPercent": 10.0,
            "proof": False,
        },
    ]
    assert "expectedUnitsPerDay" not in written


def test_all_problems_are_told_at_once_when_there_are_several() -> None:
    document = changed({"power": 2, "model": "No", "guardrails[0].limitMillis": 7, "colour": "red"})
    assert set(problems(document)) == {"spec.power", "spec.model", "spec.guardrails[0].limitMillis", "spec.colour"}


def test_all_contradictions_are_told_at_once_when_there_are_several() -> None:
    document = changed({"primary.baseline": 3, "ramp.steps": 2, "holdoutPercent": 0.01})
    assert set(problems(document)) == {"spec.primary.baseline", "spec.ramp.steps", "spec.holdoutPercent"}


@pytest.mark.parametrize("document", [None, 3, "text", [], [good()]])
def test_spec_itself_is_named_when_it_is_no_object(document: object) -> None:
    assert problems(document)["spec"].endswith("allowed is an object")


def test_outcomes_are_each_named_once_when_a_metric_has_two_roles() -> None:
    document: JsonObject = {**good(), "secondary": [{"name": "correct"}, {"name": "rating"}]}
    assert sorted(outcome.name for outcome in read_spec(document).outcomes) == ["converted", "correct", "rating"]


def test_every_edge_of_the_histogram_is_a_limit_when_chosen() -> None:
    for edge in LATENCY_EDGES_MILLIS:
        document = changed({"guardrails[0].limitMillis": edge})
        assert read_spec(document).guardrails[0].model_dump()["limit_millis"] == edge


@given(specs())
def test_spec_is_the_same_when_written_and_read_again(document: JsonObject) -> None:
    spec = read_spec(document)
    written = json.loads(json.dumps(write_spec(spec)))
    assert read_spec(written) == spec
    assert AbTestSpec.model_validate(written) == spec
