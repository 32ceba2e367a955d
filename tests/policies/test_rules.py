"""Every rule fires where it must, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pytest

from policies import docs
from policies._examples import CLOUD, MANIFESTS
from policies._model import Exemption, ObjectRule, Resource, Rule, StackRule, Verdict
from policies._paths import MISSING, UNKNOWN
from policies.configuration import Configuration
from policies.engine import evaluate
from policies.registry import OBJECT_RULES, RULES, STACK_RULES
from tests.policies.questions import questions, unrepaired, wrong
from tests.policies.samples import example, resource_of

_STACK = "sample"


def object_rules() -> list[object]:
    return [pytest.param(rule, id=rule.id) for rule in OBJECT_RULES]


def stack_rules() -> list[object]:
    return [pytest.param(rule, id=rule.id) for rule in STACK_RULES]


def verdicts(rule: Rule, resources: Sequence[Resource], configuration: Configuration | None = None) -> set[Verdict]:
    report = evaluate(resources, configuration or Configuration(), _STACK, (rule,))
    return {item.finding.verdict for item in report.judged}


def test_there_are_enough_rules_and_their_ids_differ_when_listed() -> None:
    assert len(RULES) >= 60
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("kind", [*MANIFESTS, *CLOUD])
def test_no_object_rule_fires_when_a_resource_is_sound(kind: str) -> None:
    report = evaluate([resource_of(kind, {})], Configuration(), _STACK, OBJECT_RULES)
    assert [item.rule.id for item in report.judged] == []


@pytest.mark.parametrize("rule", object_rules())
def test_rule_fires_when_its_example_fails(rule: ObjectRule) -> None:
    assert verdicts(rule, [example(rule, rule.example.fails)]) == {Verdict.VIOLATION}


@pytest.mark.parametrize("rule", object_rules())
def test_rule_is_silent_when_its_examples_pass(rule: ObjectRule) -> None:
    assert verdicts(rule, [example(rule, rule.example.passes)]) == set()
    assert verdicts(rule, [example(rule, rule.example.neighbour)]) == set()


@pytest.mark.parametrize("rule", object_rules())
def test_missing_field_counts_as_declared_when_left_out(rule: ObjectRule) -> None:
    path = list(rule.example.fails)[-1]
    others = {key: value for key, value in rule.example.fails.items() if key != path}
    expected = {Verdict.VIOLATION} if rule.example.needed else set[Verdict]()
    assert verdicts(rule, [example(rule, {**others, path: MISSING})]) == expected


@pytest.mark.parametrize("rule", object_rules())
def test_verdict_is_unknown_when_the_deciding_value_is_not_known(rule: ObjectRule) -> None:
    path = list(rule.example.fails)[-1]
    found = verdicts(rule, [example(rule, {**rule.example.fails, path: UNKNOWN})])
    assert found == {Verdict.UNKNOWN}


@pytest.mark.parametrize("rule", object_rules())
def test_violation_is_excused_when_it_is_exempt(rule: ObjectRule) -> None:
    resource = example(rule, rule.example.fails)
    exemption = Exemption(
        rule=rule.id,
        stacks=(_STACK,),
        kind=resource.kind,
        name=resource.name,
        owner="platform",
        reason="a test",
        expires=date(2030, 1, 1),
    )
    configuration = Configuration(exemptions=(exemption,))
    assert verdicts(rule, [resource], configuration) == {Verdict.EXEMPT}
    assert not evaluate([resource], configuration, _STACK, (rule,)).refuses
    assert evaluate([resource], configuration, "another stack", (rule,)).refuses


@pytest.mark.parametrize("rule", [rule for rule in OBJECT_RULES if rule.example.of in MANIFESTS], ids=lambda r: r.id)
def test_rule_fires_for_every_kind_when_it_names_several(rule: ObjectRule) -> None:
    assert rule.kinds
    assert {rule.example.of} <= {kind.rpartition("/")[2] for kind in rule.kinds}


@pytest.mark.parametrize("rule", stack_rules())
def test_stack_rule_judges_its_samples_when_asked(rule: StackRule) -> None:
    assert verdicts(rule, rule.fails) == {Verdict.VIOLATION}
    assert verdicts(rule, rule.missing) == {Verdict.VIOLATION}
    assert verdicts(rule, rule.passes) == set()
    assert verdicts(rule, rule.neighbour) == set()
    assert verdicts(rule, rule.unknown) == {Verdict.UNKNOWN}


@pytest.mark.parametrize("rule", stack_rules())
def test_stack_rule_excuses_when_every_broken_resource_is_exempt(rule: StackRule) -> None:
    report = evaluate(rule.fails, Configuration(), _STACK, (rule,))
    exemptions = tuple(
        Exemption(
            rule=rule.id,
            stacks=(_STACK,),
            kind=item.finding.resource.kind,
            name=f"{item.finding.resource.name[:2]}*",
            owner="platform",
            reason="a test",
            expires=date(2030, 1, 1),
        )
        for item in report.judged
    )
    assert verdicts(rule, rule.fails, Configuration(exemptions=exemptions)) == {Verdict.EXEMPT}


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.id) for rule in RULES])
def test_rule_answers_everything_as_written_when_asked(rule: Rule) -> None:
    asked = questions(rule)
    assert list(wrong(rule, asked)) == []
    assert list(unrepaired(rule, rule)) == []


def test_proof_says_how_much_the_rules_are_asked_when_read() -> None:
    proof = (docs.FILE.parent / "policies-proof.md").read_text(encoding="utf-8")
    assert f"| {sum(len(questions(rule)) for rule in RULES):,} questions answered as written |" in proof


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.id) for rule in RULES])
def test_rule_shows_every_side_of_itself_when_it_is_listed(rule: Rule) -> None:
    if isinstance(rule, StackRule):
        assert all((rule.fails, rule.passes, rule.neighbour, rule.unknown, rule.missing))
    elif isinstance(rule, ObjectRule):
        sound = example(rule, {})
        assert example(rule, rule.example.fails) != sound
        assert example(rule, rule.example.neighbour) != sound
    sides = {verdict for question in questions(rule) for _, verdict in question.answer}
    assert {Verdict.VIOLATION, Verdict.UNKNOWN} <= sides
