"""What every rule is asked: its own examples in every place where they could stand, and the corpus.

The tests ask the rules, `tests.policies.mutation` asks changed ones: a change that answers everything as before is one
that no test sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, cast

from policies import fixing
from policies._examples import MANIFESTS
from policies._kinds import POD_SPECS
from policies._model import ObjectRule, Resource, Rule, Scope, StackRule, Verdict
from policies._paths import MISSING, UNKNOWN, changed, read
from policies.configuration import Configuration
from policies.engine import evaluate
from tests.policies import corpus
from tests.policies.extra_cases import EXTRA
from tests.policies.extra_stacks import EXTRA_STACKS
from tests.policies.repairs import REPAIRS
from tests.policies.samples import example

_STACK: Final = "sample"
_CONTAINER: Final = MANIFESTS["Deployment"]["spec"]["template"]["spec"]["containers"][0]

Answer = frozenset[tuple[str, Verdict]]
"""Kind and name of resources, and what is said of each."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """Resources that are judged together, and the answer."""

    name: str
    resources: Sequence[Resource]
    answer: Answer
    configuration: Configuration = field(default_factory=Configuration)
    stack: str = _STACK


def questions(rule: Rule) -> list[Question]:
    """Return everything that a rule is asked."""
    own = _of_object_rule(rule) if isinstance(rule, ObjectRule) else _of_stack_rule(cast("StackRule", rule))
    return [*own, *_of_corpus(rule)]


def wrong(rule: Rule, asked: Iterable[Question]) -> Iterator[str]:
    """Return the questions that a rule answers otherwise."""
    for question in asked:
        report = evaluate(question.resources, question.configuration, question.stack, (rule,))
        said = frozenset((_title(item.finding.resource), item.finding.verdict) for item in report.judged)
        if said != question.answer:
            yield f"{question.name}: {_shown(said)} instead of {_shown(question.answer)}"


def unrepaired(rule: Rule, original: Rule) -> Iterator[str]:
    """Return the violations of a rule that its patches leave, or that they repair otherwise than they should."""
    if not isinstance(rule, ObjectRule) or not isinstance(original, ObjectRule):
        return
    if (rule.fix or {}) != REPAIRS.get(rule.id, {}):
        yield f"writes {rule.fix}"
    elif rule.fix:
        yield from (
            f"{name}: still broken after the repair"
            for name, broken in broken_ways(original)
            if evaluate([_repaired(rule, broken)], Configuration(), _STACK, (original,)).judged
        )


def _repaired(rule: ObjectRule, resource: Resource) -> Resource:
    report = evaluate([resource], Configuration(), _STACK, (rule,))
    values = {
        "".join(f"[{step}]" for step in _steps_of(operation["path"])): operation["value"]
        for item in report.judged
        for operation in fixing.patch(item)
    }
    return replace(resource, properties=changed(resource.properties, values))


def broken_ways(rule: ObjectRule) -> list[tuple[str, Resource]]:
    """Return the resources that break a rule: its example in every kind, and in containers that prepare the pod."""
    found: list[tuple[str, Resource]] = []
    for kind in rule.kinds:
        broken = as_kind(example(rule, rule.example.fails), kind)
        found.append((f"fails as {kind}", broken))
        if rule.scope is Scope.CONTAINERS:
            found += [(f"fails in {place} of {kind}", _moved(broken, place)) for place in ("initContainers", "second")]
    return found


def as_kind(resource: Resource, kind: str) -> Resource:
    """Return the same content as another kind, with the pod where that kind has it."""
    properties: Mapping[str, Any] = {**resource.properties, "kind": kind.rpartition("/")[2]}
    if {kind, resource.kind} <= set(POD_SPECS) and POD_SPECS[kind] != POD_SPECS[resource.kind]:
        pod = read(properties, POD_SPECS[resource.kind])
        properties = changed({"metadata": properties["metadata"]}, {POD_SPECS[kind]: pod})
    return replace(resource, kind=kind, properties=properties)


def _of_object_rule(rule: ObjectRule) -> Iterator[Question]:
    shown = rule.example
    for name, broken in broken_ways(rule):
        yield _ask(name, broken, Verdict.VIOLATION)
    for kind in rule.kinds:
        for name, patch in (("passes", shown.passes), ("neighbour", shown.neighbour)):
            yield _ask(f"{name} as {kind}", as_kind(example(rule, patch), kind))
    last = list(shown.fails)[-1]
    missing = example(rule, {**shown.fails, last: MISSING})
    yield _ask("missing", missing, *([Verdict.VIOLATION] if shown.needed else []))
    yield _ask("unknown", example(rule, {**shown.fails, last: UNKNOWN}), Verdict.UNKNOWN)
    for number, (patch, verdict) in enumerate(EXTRA.get(rule.id, ()), start=1):
        yield _ask(f"case {number} of the table", example(rule, patch), *([verdict] if verdict else []))


def _of_stack_rule(rule: StackRule) -> Iterator[Question]:
    for name, resources, verdict in (
        ("fails", rule.fails, Verdict.VIOLATION),
        ("missing", rule.missing, Verdict.VIOLATION),
        ("unknown", rule.unknown, Verdict.UNKNOWN),
        ("passes", rule.passes, None),
        ("neighbour", rule.neighbour, None),
    ):
        concerned = [item for item in resources if item.kind in rule.concerns]
        answer = frozenset((_title(item), verdict) for item in concerned if verdict)
        yield Question(name=name, resources=resources, answer=answer)
    for number, (resources, answer) in enumerate(EXTRA_STACKS.get(rule.id, ()), start=1):
        yield Question(name=f"case {number} of the table", resources=resources, answer=frozenset(answer))


def _of_corpus(rule: Rule) -> Iterator[Question]:
    groups = {"": corpus.alone(), **corpus.stacks()}
    if isinstance(rule, StackRule):
        del groups[""]
    for name, cases in groups.items():
        together = _resources(name)
        verdicts = (
            (Verdict.VIOLATION, [case.breaks for case in cases]),
            (Verdict.UNKNOWN, [case.unknown for case in cases]),
            (Verdict.EXEMPT, [case.exempt for case in cases]),
        )
        answer = {
            (_title(resource), verdict)
            for verdict, rules in verdicts
            for resource, of_case in zip(together, rules, strict=True)
            if rule.id in of_case
        }
        yield Question(
            name=f"corpus, {name or 'alone'}",
            resources=together,
            answer=frozenset(answer),
            configuration=corpus.settings(),
            stack=corpus.STACK,
        )


@cache
def _resources(stack: str) -> tuple[Resource, ...]:
    return tuple(case.resource for case in (corpus.stacks()[stack] if stack else corpus.alone()))


def _ask(name: str, resource: Resource, *verdicts: Verdict) -> Question:
    return Question(
        name=name, resources=(resource,), answer=frozenset((_title(resource), verdict) for verdict in verdicts)
    )


def _moved(resource: Resource, place: str) -> Resource:
    """Return a pod whose broken container prepares it, or is its second."""
    pod = POD_SPECS[resource.kind]
    broken = read(resource.properties, f"{pod}.containers.0")
    here = {f"{pod}.initContainers": [broken], f"{pod}.containers": [_CONTAINER]}
    there = {f"{pod}.containers": [_CONTAINER, {**broken, "name": "second"}]}
    patch = here if place == "initContainers" else there
    return replace(resource, properties=changed(resource.properties, patch))


def _title(resource: Resource) -> str:
    return f"{resource.kind} {resource.namespace}/{resource.name}"


def _steps_of(pointer: str) -> tuple[str, ...]:
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def _shown(answer: Answer) -> str:
    return ", ".join(sorted(f"{title} {verdict.value}" for title, verdict in answer)) or "nothing"
