"""Values that mean the same to Kubernetes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.provider.equality import same

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(_JSON)
def test_a_value_is_the_same_when_compared_with_itself(value: Any) -> None:
    assert same(value, value)


@pytest.mark.parametrize(
    ("left", "right"), [("500m", "0.5"), ("1Gi", "1024Mi"), (1, "1"), ("2", 2), ("1e3", "1k"), ("1000m", 1)]
)
def test_quantities_are_the_same_when_written_differently(left: Any, right: Any) -> None:
    assert same({"limits": {"cpu": left}}, {"limits": {"cpu": right}}, ("spec", "resources"))


def test_quantities_differ_when_their_amount_does() -> None:
    assert not same({"requests": {"memory": "1Gi"}}, {"requests": {"memory": "1G"}}, ("spec", "resources"))


def test_texts_differ_outside_quantities_when_they_look_like_numbers() -> None:
    assert not same({"data": {"key": "500m"}}, {"data": {"key": "0.5"}})
    assert not same({"data": {"storage": "1Gi"}}, {"data": {"storage": "1024Mi"}})
    assert not same({"metadata": {"labels": {"storage": "1"}}}, {"metadata": {"labels": {"storage": "1.0"}}})


def test_empty_values_are_the_same_when_the_other_side_has_none() -> None:
    assert same({"labels": {}, "a": 1}, {"a": 1})
    assert same({"list": None}, {"list": []})
    assert not same({"labels": {"x": "1"}}, {})


def test_booleans_differ_from_numbers_when_python_says_otherwise() -> None:
    assert not same(True, 1)
    assert not same(0, False)
