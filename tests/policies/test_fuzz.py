"""No content makes a rule raise, and what is not known never counts as good."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies._demand import Demand
from policies._kinds import of_manifest
from policies._model import Resource, Verdict
from policies._paths import UNKNOWN, steps
from policies.configuration import Configuration
from policies.engine import evaluate
from policies.registry import OBJECT_RULES, RULES, STACK_RULES
from policies.sources import from_manifest, from_pulumi
from tests.policies import corpus

_FEW: Final = 40
_MANY: Final = 300
_UNKNOWN_MARK: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_KINDS: Final = sorted(
    {kind for rule in OBJECT_RULES for kind in rule.kinds} | {kind for rule in STACK_RULES for kind in rule.concerns}
)
_WITH_RULES: Final = frozenset(_KINDS)
_CASES: Final = [case for case in corpus.cases() if case.resource.kind in _WITH_RULES]


def _paths(demand: Demand | None) -> Iterator[str]:
    for field in dataclasses.fields(cast("Any", demand)) if demand else ():
        value = getattr(demand, field.name)
        if field.name in ("path", "other"):
            yield cast("str", value)
        for part in cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,):
            if isinstance(part, Demand):
                yield from _paths(part)


_KEYS: Final = sorted(
    {step for rule in OBJECT_RULES for path in (*_paths(rule.demand), *_paths(rule.when)) for step in steps(path)}
    | {"template", "jobTemplate", "containers", "initContainers", "matchLabels", "matchExpressions", "podSelector"}
    | {"name", "namespace", "labels", "metadata", "spec", "selector", "volumeClaimTemplates", "policyTypes"}
)
_TEXTS: Final = st.text(max_size=8) | st.sampled_from(
    [
        "",
        "*",
        "0",
        "1Gi",
        "-1",
        "1e99",
        "NaN",
        "ALL",
        "true",
        "a:b",
        "x@sha256:",
        "0.0.0.0/0",
        "nvidia.com/gpu",
        _UNKNOWN_MARK,
    ]
)
_ANYTHING: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS | st.just(UNKNOWN) | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.dictionaries(st.sampled_from(_KEYS) | _TEXTS, inner, max_size=6)
        | st.dictionaries(st.integers() | st.booleans() | st.none(), inner, max_size=2)
    ),
    max_leaves=40,
)
_CONTENT: Final = st.dictionaries(st.sampled_from(_KEYS) | _TEXTS, _ANYTHING, max_size=8)
_PLACES: Final = st.lists(st.integers(min_value=0, max_value=20), max_size=12)
"""Where to go in nested data: the numbers of keys or items, outermost first."""


def of_kind(kind: str, content: Mapping[str, Any]) -> Resource:
    if kind.startswith("aws:"):
        found = from_pulumi(kind.replace("/", "/x:"), "x", content, urn="x", protected=False)
        assert found is not None
        return found
    group, _, name = kind.rpartition("/")
    version = "v1" if group == "core" else f"{group}/v1"
    assert of_manifest(version, name) == kind
    return from_manifest({**content, "apiVersion": version, "kind": name}, protected=False)


def put(value: Any, places: list[int], new: Any) -> Any:
    """Return nested data with something else at a place; at the end of the places, or where it goes no deeper."""
    if places and isinstance(value, dict) and value:
        table = cast("dict[Any, Any]", value)
        key = list(table)[places[0] % len(table)]
        return {**table, key: put(table[key], places[1:], new)}
    if places and isinstance(value, list) and value:
        items = list(cast("list[Any]", value))
        index = places[0] % len(items)
        items[index] = put(items[index], places[1:], new)
        return items
    return new


def damaged(resource: Resource, places: list[int], new: Any) -> Resource:
    """Return a resource with something else in one place, but not in its kind."""
    parts = {key: item for key, item in resource.properties.items() if key not in ("apiVersion", "kind")}
    kept = {key: item for key, item in resource.properties.items() if key in ("apiVersion", "kind")}
    replaced = put(parts, places or [0], new)
    return replace(resource, properties={**kept, **replaced} if isinstance(replaced, dict) else kept)


def said(resource: Resource) -> dict[str, set[Verdict]]:
    found: dict[str, set[Verdict]] = {}
    for item in evaluate([resource], Configuration(), "fuzz", OBJECT_RULES).judged:
        found.setdefault(item.rule.id, set()).add(item.finding.verdict)
    return found


def check_arbitrary(content: dict[str, Any]) -> None:
    resources = [of_kind(kind, content) for kind in _KINDS]
    assert evaluate(resources, Configuration(), "fuzz", RULES).resources == len(_KINDS)


def check_damaged(case: corpus.Case, places: list[int], new: Any) -> None:
    resource = damaged(case.resource, places, new)
    report = evaluate([resource], Configuration(), "fuzz", RULES)
    assert all(item.finding.resource is resource for item in report.judged)


def check_unknown(case: corpus.Case, places: list[int]) -> None:
    """What is unknown could be what stood there, which broke or kept the rule: neither may be taken back."""
    before, after = said(case.resource), said(damaged(case.resource, places, UNKNOWN))
    silent = [rule for rule, verdicts in before.items() if Verdict.VIOLATION in verdicts and rule not in after]
    assert silent == [], "a value that became unknown made a violation disappear"
    invented = [rule for rule, verdicts in after.items() if Verdict.VIOLATION in verdicts and rule not in before]
    assert invented == [], "a value that became unknown made a violation"


@settings(max_examples=_FEW)
@given(content=_CONTENT)
def test_no_rule_raises_when_the_content_is_arbitrary(content: dict[str, Any]) -> None:
    check_arbitrary(content)


@settings(max_examples=_FEW)
@given(case=st.sampled_from(_CASES), places=_PLACES, new=_ANYTHING)
def test_no_rule_raises_when_a_real_manifest_is_damaged(case: corpus.Case, places: list[int], new: Any) -> None:
    check_damaged(case, places, new)


@settings(max_examples=3 * _FEW)
@given(case=st.sampled_from(_CASES), places=_PLACES)
def test_unknown_neither_hides_nor_makes_a_violation_when_it_replaces_a_value(
    case: corpus.Case, places: list[int]
) -> None:
    check_unknown(case, places)


@pytest.mark.slow
def test_all_of_it_holds_when_tried_many_times() -> None:
    for check in (
        settings(max_examples=_MANY)(given(content=_CONTENT)(check_arbitrary)),
        settings(max_examples=_MANY)(given(case=st.sampled_from(_CASES), places=_PLACES, new=_ANYTHING)(check_damaged)),
        settings(max_examples=3 * _MANY)(given(case=st.sampled_from(_CASES), places=_PLACES)(check_unknown)),
    ):
        check()
    assert len(_CASES) > 300


def test_no_rule_raises_when_the_content_is_deep() -> None:
    content: Any = UNKNOWN
    for _ in range(60):
        content = {"spec": {"containers": [content]}}
    check_arbitrary({**content, "metadata": content})
