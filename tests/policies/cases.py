"""The corpus on which all places must agree, and what the offline check says about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, cast

from policies import sources
from policies._examples import MANIFESTS
from policies._kinds import SERVED_AS
from policies._model import ObjectRule, Resource, Rule, StackRule, Verdict
from policies._paths import MISSING, changed, read
from policies.configuration import Configuration
from policies.engine import evaluate
from policies.registry import RULES

STACK = "corpus"
_WHOLE = ("labels", "selector", "podSelector", "matchLabels")
"""What a sample says about these is all there is."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Manifests that are deployed together."""

    name: str
    manifests: tuple[Mapping[str, Any], ...]

    def __str__(self) -> str:
        return self.name


def cases() -> list[Case]:
    """Return the whole corpus; whoever widens it adds to this list."""
    return [case for rule in RULES for case in _of(rule)]


def broken(manifests: Sequence[Mapping[str, Any]], rules: Sequence[Rule] = RULES) -> frozenset[str]:
    """Return the rules that the offline check finds broken, without levels and exemptions."""
    resources = [sources.from_manifest(manifest) for manifest in manifests]
    found = evaluate(resources, Configuration(), STACK, rules).of(Verdict.VIOLATION)
    return frozenset(item.rule.id for item in found)


def _of(rule: Rule) -> list[Case]:
    if isinstance(rule, ObjectRule):
        if rule.example.of not in MANIFESTS:
            return []
        patches = {"fails": rule.example.fails, "passes": rule.example.passes, "neighbour": rule.example.neighbour}
        return [
            Case(name=f"{rule.id}-{what}", manifests=(without_nothing(changed(MANIFESTS[rule.example.of], patch)),))
            for what, patch in patches.items()
        ]
    assert isinstance(rule, StackRule)
    # `missing` is left out: workloads whose pods have no labels, which no API server takes.
    stacks = {"fails": rule.fails, "passes": rule.passes, "neighbour": rule.neighbour}
    return [
        Case(name=f"{rule.id}-{what}", manifests=tuple(_manifest(item) for item in resources))
        for what, resources in stacks.items()
    ]


def _manifest(resource: Resource) -> Mapping[str, Any]:
    """Return what a sample only hints at as an object that an API server would take."""
    sample = cast("Mapping[str, Any]", without_nothing(resource.properties))
    group, _, kind = resource.kind.rpartition("/")
    bare = {"apiVersion": f"{group}/{SERVED_AS[resource.kind][0]}", "kind": kind}
    made = changed(MANIFESTS.get(kind, bare), {"metadata.name": resource.name})
    if resource.kind == "apps/StatefulSet" and read(sample, "spec.volumeClaimTemplates") is MISSING:
        made = changed(made, {"spec.volumeClaimTemplates": MISSING})
    made = _merged(made, sample)
    labels = read(sample, "spec.template.metadata.labels")
    return made if labels is MISSING else changed(made, {"spec.selector.matchLabels": labels})


def _merged(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        old, new = cast("dict[str, Any]", base), cast("dict[str, Any]", over)
        joined = {key: _merged(old.get(key), value) for key, value in new.items()}
        return {**old, **joined, **{key: new[key] for key in _WHOLE if key in new}}
    if isinstance(base, list) and isinstance(over, list):
        old_items, new_items = cast("list[Any]", base), cast("list[Any]", over)
        if not all(isinstance(item, Mapping) for item in new_items):
            return new_items
        pairs = zip_longest(old_items, new_items)
        return [_merged(old, new) if new is not None else old for old, new in pairs]
    return cast("Any", base if over is None else over)


def without_nothing(value: Any) -> Any:
    """Return a value without nulls, which clients never send: an API server would read `cpu: null` as no CPU at all."""
    if isinstance(value, Mapping):
        table = cast("Mapping[str, Any]", value)
        return {key: without_nothing(item) for key, item in table.items() if item not in (None, MISSING)}
    if isinstance(value, list):
        return [without_nothing(item) for item in cast("list[Any]", value)]
    return value
