"""Demands under missing, unknown and mistyped values."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import _quantity
from policies._logic import AmountAtMost, AtLeast, AtMost, Demand, Equal, Every, Filled, Is, Matches, Situation, Some
from policies._paths import MISSING, UNKNOWN, changed, read
from policies.configuration import Configuration
from policies.engine import evaluate
from policies.registry import OBJECT_RULES, RULES
from policies.sources import from_manifest, from_pulumi
from tests.policies.samples import resource_of

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


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(UNKNOWN),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["spec", "template", "containers", "volumes", "image", "name", "rules", "verbs", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=20)
@given(content=st.dictionaries(st.sampled_from(["metadata", "spec", "rules", "subjects", "data", "x"]), _JSON))
def test_no_rule_raises_when_the_content_is_arbitrary(content: dict[str, Any]) -> None:
    kinds = {kind for rule in OBJECT_RULES for kind in rule.kinds}
    resources = [
        from_manifest({**content, "apiVersion": f"{kind.rpartition('/')[0]}/v1", "kind": kind.rpartition("/")[2]})
        if not kind.startswith("aws:")
        else from_pulumi(f"{kind.replace('/', '/x:')}", "x", content, urn="x", protected=False)
        for kind in kinds
    ]
    report = evaluate([item for item in resources if item is not None], Configuration(), "dev", RULES)
    assert report.resources == len(kinds)


@settings(max_examples=20)
@given(patch=_JSON)
def test_no_rule_raises_when_a_sound_pod_is_damaged(patch: Any) -> None:
    for path in ("spec.template.spec", "spec.template.spec.containers", "spec.template.spec.containers.0", "spec"):
        resource = resource_of("Deployment", {path: patch})
        assert evaluate([resource], Configuration(), "dev", RULES).resources == 1
