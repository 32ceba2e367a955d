"""The rules say of every manifest of the corpus exactly what is written beside it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final

import pytest

from ml.contracts.abtest import API_GROUP, AbTestSpec
from policies import docs
from policies._model import Verdict
from policies.engine import Judged, evaluate
from policies.registry import BY_ID, OBJECT_RULES, STACK_RULES
from tests.policies import corpus
from tests.policies.corpus import Case
from tests.support.schemas import check_custom, check_kubernetes

_KUBERNETES: Final = "1.36"
_OBJECT_RULES: Final = frozenset(rule.id for rule in OBJECT_RULES)
_STACK_RULES: Final = frozenset(rule.id for rule in STACK_RULES)
_WITHOUT_SCHEMA: Final = frozenset({"keda.sh", "karpenter.sh", "monitoring.coreos.com"})
"""Groups whose definitions are not in this repository."""


def parameters(cases: Iterable[Case]) -> list[object]:
    return [pytest.param(case, id=case.name) for case in cases]


def said(judged: Iterable[Judged]) -> dict[str, set[str]]:
    """Return the rules by verdict."""
    found: dict[str, set[str]] = {"breaks": set(), "unknown": set(), "exempt": set()}
    words = {Verdict.VIOLATION: "breaks", Verdict.UNKNOWN: "unknown", Verdict.EXEMPT: "exempt"}
    for item in judged:
        found[words[item.finding.verdict]].add(item.rule.id)
    return found


def expected(case: Case, rules: frozenset[str]) -> dict[str, frozenset[str]]:
    return {"breaks": case.breaks & rules, "unknown": case.unknown & rules, "exempt": case.exempt & rules}


@pytest.mark.parametrize("case", parameters(corpus.cases()))
def test_verdicts_are_exactly_the_written_ones_when_a_manifest_is_judged(case: Case) -> None:
    report = evaluate([case.resource], corpus.settings(), corpus.STACK, OBJECT_RULES)
    assert said(report.judged) == expected(case, _OBJECT_RULES)


@pytest.mark.parametrize("name", corpus.stacks())
def test_verdicts_are_exactly_the_written_ones_when_a_stack_is_judged(name: str) -> None:
    cases = corpus.stacks()[name]
    resources = {case.name: case.resource for case in cases}
    report = evaluate(list(resources.values()), corpus.settings(), corpus.STACK, STACK_RULES)
    by_resource: dict[int, list[Judged]] = defaultdict(list)
    for item in report.judged:
        by_resource[id(item.finding.resource)].append(item)
    found = {key: said(by_resource[id(resource)]) for key, resource in resources.items()}
    assert found == {case.name: expected(case, _STACK_RULES) for case in cases}


def test_corpus_is_large_and_varied_when_counted() -> None:
    cases = corpus.cases()
    assert len(cases) >= 200
    assert len({case.resource.kind for case in cases}) >= 40
    good = [case for case in cases if not case.breaks | case.unknown | case.exempt]
    assert len(good) >= 80
    assert sum(bool(case.breaks) for case in cases) >= 120
    assert max(Counter(case.name for case in cases).values()) == 1


def test_proof_says_how_large_the_corpus_is_when_read() -> None:
    proof = (docs.FILE.parent / "policies-proof.md").read_text(encoding="utf-8")
    assert f"| {len(corpus.cases()):,} manifests with verdicts decided by hand |" in proof


def test_every_rule_is_broken_by_a_manifest_when_the_corpus_is_read() -> None:
    mentioned = {name for case in corpus.cases() for name in (*case.breaks, *case.unknown, *case.exempt)}
    assert mentioned <= set(BY_ID)
    assert set(BY_ID) - {name for case in corpus.cases() for name in case.breaks} == set()


def test_what_is_filled_in_is_broken_as_written_when_the_corpus_is_read() -> None:
    filled_in = [case for case in corpus.cases() if case.filled_in]
    assert filled_in
    assert all(case.filled_in <= case.breaks for case in filled_in)


def test_only_stacks_speak_of_rules_over_several_resources_when_the_corpus_is_read() -> None:
    assert [case.name for case in corpus.alone() if (case.breaks | case.unknown | case.exempt) & _STACK_RULES] == []


@pytest.mark.parametrize(
    "case", parameters(case for case in corpus.cases() if case.is_cluster_object and case.is_complete)
)
def test_manifest_has_the_shape_of_its_kind_when_it_is_complete(case: Case) -> None:
    group = str(case.described["apiVersion"]).rpartition("/")[0]
    if group.endswith(("istio.io", "cnpg.io")):
        check_custom(case.described)
    elif group == API_GROUP:
        assert AbTestSpec.model_validate(case.described["spec"]).model
    elif group not in _WITHOUT_SCHEMA:
        check_kubernetes(case.described, _KUBERNETES)
    else:
        assert case.described["spec"]
