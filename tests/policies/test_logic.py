"""Demands under missing, unknown and mistyped values."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from policies import _quantity
from policies._demand import Demand, Situation
from policies._logic import (
    AmountAtMost,
    AtLeast,
    AtMost,
    Equal,
    Every,
    EveryValue,
    Filled,
    Is,
    Matches,
    Some,
)
from policies._paths import MISSING, UNKNOWN, changed, read

_A_ONE = Is("a", 1)


def holds(demand: Demand, value: Any) -> bool | None:
    return demand.holds(value, "", Situation({}))


@pytest.mark.parametrize(
    ("demand", "value", "expected"),
    [
        (_A_ONE, {"a": 1}, True),
        (_A_ONE, {"a": True}, False),
        (_A_ONE, {}, False),
        (_A_ONE, {"a": None}, False),
        (_A_ONE, {"a": UNKNOWN}, None),
        (~_A_ONE, {"a": UNKNOWN}, None),
        (_A_ONE & Is("b", 1), {"a": UNKNOWN, "b": 2}, False),
        (_A_ONE & Is("b", 1), {"a": UNKNOWN, "b": 1}, None),
        (_A_ONE | Is("b", 1), {"a": UNKNOWN, "b": 1}, True),
        (_A_ONE | Is("b", 1), {"a": UNKNOWN, "b": 2}, None),
        (Every("l", _A_ONE), {"l": [UNKNOWN, {"a": 2}]}, False),
        (Every("l", _A_ONE), {"l": [UNKNOWN, {"a": 1}]}, None),
        (Every("l", _A_ONE), {}, True),
        (Every("l", _A_ONE), {"l": UNKNOWN}, None),
        (Some("l", _A_ONE), {"l": [UNKNOWN, {"a": 1}]}, True),
        (Some("l", _A_ONE), {}, False),
        (EveryValue("t", _A_ONE), {"t": {"x": {"a": 1}, "y": {"a": 2}}}, False),
        (EveryValue("t", _A_ONE), {"t": {"x": {"a": 1}, "y": UNKNOWN}}, None),
        (EveryValue("t", _A_ONE), {"t": UNKNOWN}, None),
        (EveryValue("t", _A_ONE), {"t": [{"a": 2}]}, True),
        (EveryValue("t", _A_ONE), {}, True),
        (Filled("a"), {"a": ""}, False),
        (Filled("a"), {"a": 0}, False),
        (AtLeast("a", 1), {"a": True}, False),
        (AtLeast("a", 1), {"a": 1}, True),
        (AtMost("a", 1), {"a": 1}, True),
        (AtMost("a", 1), {"a": "0"}, False),
        (Matches("a", "x$"), {"a": "x\n"}, False),
        (Matches("a", "x$"), {"a": "yx"}, True),
        (Equal("a", "b"), {"a": 1, "b": 1}, True),
        (Equal("a", "b"), {"a": 1}, False),
        (Equal("a", "b"), {}, False),
        (Equal("a", "b"), {"a": 1, "b": UNKNOWN}, None),
        (AmountAtMost("a", "1Gi"), {"a": "1024Mi"}, True),
        (AmountAtMost("a", "1Gi"), {"a": "1025Mi"}, False),
        (AmountAtMost("a", "1Gi"), {"a": "much"}, False),
    ],
    ids=str,
)
def test_demand_answers_when_asked(demand: Demand, value: Any, expected: bool | None) -> None:
    assert holds(demand, value) is expected


@pytest.mark.parametrize(
    ("text", "amount"),
    [("100m", Fraction(1, 10)), ("2Gi", Fraction(2**31)), ("1.5", Fraction(3, 2)), ("1e3", Fraction(1000)), (4, 4)],
)
def test_amount_is_read_when_it_is_written_as_kubernetes_does(text: object, amount: Fraction) -> None:
    assert _quantity.parse(text) == amount


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1GiB", "1e999", True, None, [], "1.2.3"])
def test_amount_is_none_when_it_is_no_amount(text: object) -> None:
    assert _quantity.parse(text) is None


def test_unknown_path_is_named_when_a_value_is_not_known() -> None:
    situation = Situation({})
    Every("l", Every("m", _A_ONE)).holds({"l": [{"m": [{"a": UNKNOWN}]}]}, "spec", situation)
    assert situation.unknown_paths == ["spec.l.0.m.0.a"]


def test_value_is_found_when_its_key_has_dots() -> None:
    made = changed({}, {"metadata.labels[app.kubernetes.io/name]": "x", "spec.l.0.a": 1})
    assert made == {"metadata": {"labels": {"app.kubernetes.io/name": "x"}}, "spec": {"l": [{"a": 1}]}}
    assert read(made, "metadata.labels[app.kubernetes.io/name]") == "x"
    assert read(made, "spec.l.1.a") is MISSING
