"""What is decided about checkov's checks speaks of rules and cases that exist."""

from __future__ import annotations

from datetime import date

from policies.registry import BY_ID
from tests.policies import corpus
from tests.policies.crosscheck import TERRAFORM, Finding, content, decided, open_questions


def test_every_check_has_rules_that_exist_or_a_reason_when_decided() -> None:
    found = decided()
    assert len(found) > 60
    assert {name for entry in found.values() for name in entry.rules} <= set(BY_ID)
    assert [check for check, entry in found.items() if not entry.rules and not entry.reason] == []


def test_what_ours_let_pass_has_a_reason_and_exists_when_decided() -> None:
    names = {case.name for case in corpus.cases()} | {case.resource.kind for case in corpus.cases()}
    for check, entry in decided().items():
        assert entry.passing <= names, check
        assert not entry.passing or entry.reason, check


def test_every_cloud_resource_of_the_corpus_can_be_shown_to_checkov_when_complete() -> None:
    shown = [case for case in corpus.cases() if case.is_complete and not case.is_cluster_object]
    assert {case.described["type"] for case in shown} == set(TERRAFORM)


def test_version_and_day_are_recorded_when_decided() -> None:
    recorded = content()
    assert set(recorded["wholly"]) <= set(BY_ID)
    assert recorded["version"].count(".") == 2
    assert isinstance(recorded["date"], date)


def test_finding_is_open_when_no_rule_finds_it_and_nothing_explains_it() -> None:
    cases = {case.name: case for case in corpus.cases()}
    good = cases["deployments: apps/Deployment web/shop"]
    bad = cases["deployments: apps/Deployment web/node-debugger"]
    assert open_questions([Finding("CKV_K8S_16", "privileged", bad)]) == []
    assert "none of container-privileged" in open_questions([Finding("CKV_K8S_16", "privileged", good)])[0]
    by_hand = cases["pods: apps/ReplicaSet web/frontend"]
    assert open_questions([Finding("CKV_K8S_13", "limits", by_hand)]) == []
    assert "says nothing" in open_questions([Finding("CKV_K8S_0", "new", good)])[0]
