"""Marks of secret and unknown values."""

from __future__ import annotations

from local.provider.values import (
    UNKNOWN,
    Secret,
    contains_secret,
    contains_unknown,
    mark_secrets,
    pluck,
    reveal,
    secret_texts,
)


def test_everything_is_plain_when_revealed() -> None:
    assert reveal({"a": Secret({"b": [Secret("x")]}), "c": 1}) == {"a": {"b": ["x"]}, "c": 1}


def test_unknowns_are_found_when_inside_secrets_and_lists() -> None:
    assert contains_unknown({"a": [Secret({"b": UNKNOWN})]})
    assert not contains_unknown({"a": [Secret({"b": 1})]})


def test_secret_values_are_hidden_when_printed() -> None:
    assert "swordfish" not in repr({"a": Secret("swordfish")})


def test_only_the_secret_leaf_is_marked_when_maps_correspond() -> None:
    marked = mark_secrets({"a": "1", "b": "2"}, {"a": Secret("1"), "b": "2"})

    assert marked == {"a": Secret("1"), "b": "2"}


def test_the_whole_list_is_marked_when_one_element_was_secret() -> None:
    marked = mark_secrets({"env": [{"value": "s"}, {"value": "p"}]}, {"env": [{"value": "p"}, {"value": Secret("s")}]})

    assert marked == {"env": Secret([{"value": "s"}, {"value": "p"}])}


def test_nothing_is_marked_twice_when_already_secret() -> None:
    assert mark_secrets(Secret("x"), Secret("x")) == Secret("x")
    assert contains_secret(mark_secrets({"a": "x"}, {"a": Secret("x")}))


def test_all_texts_are_listed_when_a_secret_holds_a_structure() -> None:
    assert set(secret_texts({"a": Secret({"b": "one", "c": ["two"]}), "d": "open"})) == {"one", "two"}


def test_none_is_returned_when_a_step_of_a_path_is_missing() -> None:
    assert pluck({"a": {"b": 1}}, "a", "x", "y") is None
    assert pluck({"a": {"b": 1}}, "a", "b") == 1
