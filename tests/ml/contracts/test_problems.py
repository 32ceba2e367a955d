"""The one form in which bad input is answered."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml.contracts.problems import ABSENT, Problem, ProblemsError, problems_of, show


class Inner(BaseModel):
    """A part of a document."""

    model_config = ConfigDict(extra="forbid")
    count: int = Field(gt=0)
    tags: list[str] = Field(default=[], max_length=2)


class Outer(BaseModel):
    """A document of somebody else than `ABTest`."""

    inner: Inner
    note: str | None = Field(default=None, max_length=5)


def found(document: object) -> list[Problem]:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(document)
    return list(problems_of(caught.value, Outer, "body"))


def test_path_is_written_for_people_and_for_programs_when_it_goes_through_a_list() -> None:
    problem = Problem(("spec", "arms", 1, "slot"), "x", "another")
    assert str(problem) == "spec.arms[1].slot='x': allowed is another"
    assert problem.pointer == "/spec/arms/1/slot"
    assert problem.detail == "is 'x'; allowed is another"


def test_pointer_is_escaped_when_a_name_holds_its_separators() -> None:
    assert Problem(("a/b", "c~d"), 1, "x").pointer == "/a~1b/c~0d"


def test_value_is_not_shown_when_there_is_none() -> None:
    problem = Problem(("spec", "model"), ABSENT, "a text", "it names the model")
    assert str(problem) == "spec.model is missing: allowed is a text (it names the model)"
    assert problem.detail == "is missing; allowed is a text (it names the model)"


def test_value_is_cut_when_it_is_long() -> None:
    assert show("y" * 5000) == "'" + "y" * 99 + "..."
    assert show(True) == "true"
    assert show(0.1) == "0.1"


def test_any_models_problems_are_told_alike_when_it_is_validated() -> None:
    problems = found({"inner": {"count": 0, "tags": ["a", "b", "c"], "size": 1}, "note": "too long"})
    assert sorted(map(str, problems)) == [
        "body.inner.count=0: allowed is a whole number > 0",
        "body.inner.size=1: allowed is one of the fields count, tags (unknown field)",
        "body.inner.tags=['a', 'b', 'c']: allowed is a list of 0 to 2 entries",
        "body.note='too long': allowed is a text of at most 5 characters",
    ]


def test_lacking_part_is_named_when_it_is_required() -> None:
    assert [str(problem) for problem in found({})] == ["body.inner is missing: allowed is an object"]


def test_all_problems_are_in_the_text_when_raised() -> None:
    error = ProblemsError([Problem(("a",), 1, "2"), Problem(("b",), 3, "4")])
    assert str(error) == "a=1: allowed is 2; b=3: allowed is 4"
