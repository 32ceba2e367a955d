"""The policies that tell an API server the same rules; what a server makes of them shows test_admission_server."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from policies import cel
from policies._demand import Demand
from policies._logic import (
    AmountAtMost,
    AtMost,
    Equal,
    Every,
    EveryValue,
    Filled,
    Is,
    Matches,
    NoKey,
    OneOf,
    Setting,
    Some,
)
from policies._model import Exemption, Level
from policies.admission import FAMILIES, FOLDER, enforceable, expression, files, policies
from policies.configuration import Configuration, load
from policies.registry import OBJECT_RULES


@pytest.mark.parametrize(
    ("demand", "expected"),
    [
        (Is("a.b", "x"), '(o[?"a"][?"b"].hasValue() && o[?"a"][?"b"].value() == "x")'),
        (
            ~Is("labels[a.b/c]", True),
            '!((o[?"labels"][?"a.b/c"].hasValue() && o[?"labels"][?"a.b/c"].value() == true))',
        ),
        (Every("l", Is("", "x")), 'o[?"l"].orValue(dyn([])).all(v0, v0 == "x")'),
        (
            Some("l", Every("m", Filled(""))),
            'o[?"l"].orValue(dyn([])).exists(v0, v0[?"m"].orValue(dyn([])).all(v1, size(v1) > 0))',
        ),
        (Matches("a", r"\d$"), r'(o[?"a"].hasValue() && o[?"a"].value().matches("\\d$"))'),
        (AtMost("a", Setting("most")), '(o[?"a"].hasValue() && o[?"a"].value() <= 7.0)'),
        (Equal("a", "b"), '(o[?"a"].hasValue() && o[?"a"] == o[?"b"])'),
        (
            EveryValue("a", ~Is("b", 1)),
            (
                'o[?"a"].orValue(dyn({})).all(k0, !((o[?"a"].orValue(dyn({}))[k0][?"b"].hasValue()'
                ' && o[?"a"].orValue(dyn({}))[k0][?"b"].value() == 1)))'
            ),
        ),
        (OneOf("a", (0, "0")), '(o[?"a"].hasValue() && o[?"a"].value() in [dyn(0), dyn("0")])'),
        (NoKey("a", "x"), 'o[?"a"].orValue(dyn({})).all(k0, !k0.matches("x"))'),
        (
            AmountAtMost("a", "1Gi"),
            (
                '(o[?"a"].hasValue() && isQuantity(string(o[?"a"].value()))'
                ' && quantity(string(o[?"a"].value())).compareTo(quantity("1Gi")) <= 0)'
            ),
        ),
    ],
    ids=str,
)
def test_expression_says_the_same_when_written_in_cel(demand: Demand, expected: str) -> None:
    assert cel.expression(demand, "o", {"most": 7}) == expected


@pytest.mark.parametrize("rule", OBJECT_RULES, ids=lambda rule: rule.id)
def test_settings_are_filled_in_when_a_rule_is_written_in_cel(rule: Any) -> None:
    text = expression(rule, {})
    assert text.count("(") >= 1
    assert "Setting(" not in text


def validations(configuration: Configuration, stack: str) -> dict[str, dict[str, Any]]:
    """Return what is validated, by policy and rule."""
    return {
        policy["name"]: {entry["message"].partition(":")[0]: entry for entry in policy["spec"]["validations"]}
        for policy in policies(configuration, stack)
    }


def test_every_enforceable_rule_is_in_a_policy_when_none_is_configured() -> None:
    found = {rule for rules in validations(Configuration(), "dev").values() for rule in rules}
    assert found == {rule.id for rule in OBJECT_RULES if enforceable(rule)}
    assert not any("aws" in rule for rule in found)


def test_families_share_no_kind_when_listed() -> None:
    kinds = [kind for family in FAMILIES for kind in family.kinds]
    assert len(kinds) == len(set(kinds))


def test_policy_follows_the_level_when_one_is_set() -> None:
    levels = {"dev": {"ingress-tls": Level.ADVISORY, "gateway-tls": Level.DISABLED}}
    made = policies(Configuration(levels=levels), "dev")
    assert {policy["name"]: policy["actions"] for policy in made} == {
        "workloads-mandatory": ["Deny", "Audit"],
        "objects-mandatory": ["Deny", "Audit"],
        "objects-advisory": ["Warn", "Audit"],
        "mesh-mandatory": ["Deny", "Audit"],
        "cluster-mandatory": ["Deny", "Audit"],
    }
    found = validations(Configuration(levels=levels), "dev")
    assert set(found["objects-advisory"]) == {"ingress-tls"}
    assert "ingress-tls" not in found["objects-mandatory"]
    assert "gateway-tls" not in found["mesh-mandatory"]


def test_rule_is_asked_of_its_kinds_only_when_its_policy_has_others() -> None:
    found = validations(Configuration(), "dev")
    assert found["objects-mandatory"]["ingress-tls"]["expression"].startswith('!(object.kind in ["Ingress"]) || (')
    assert not found["workloads-mandatory"]["pod-host-network"]["expression"].startswith("!(object.kind")
    roles = {name for name, rules in found.items() if "role-wildcard-verbs" in rules}
    assert roles == {"objects-mandatory", "cluster-mandatory"}


@pytest.mark.parametrize(
    ("rule", "kind", "name", "expected"),
    [
        (
            "gateway-tls",
            "networking.istio.io/Gateway",
            "platform-*",
            'object.kind == "Gateway" && object.metadata.name.startsWith("platform-")',
        ),
        (
            "pod-host-network",
            "apps/DaemonSet",
            "agent",
            'o.?controller.orValue(false) && (o.kind == "DaemonSet" && o.name == "agent")',
        ),
        (
            "pod-host-network",
            "apps/Deployment",
            "front",
            'o.kind == "ReplicaSet" && o.name.matches("^front-[a-z0-9]+$")',
        ),
    ],
)
def test_exemption_excuses_in_its_stack_when_it_holds_there(rule: str, kind: str, name: str, expected: str) -> None:
    exemption = Exemption(
        rule=rule,
        stacks=("dev",),
        kind=kind,
        name=name,
        owner="platform",
        reason="a test",
        expires=date(2030, 1, 1),
    )
    texts = {
        stack: next(
            rules[rule]["expression"]
            for rules in validations(Configuration(exemptions=(exemption,)), stack).values()
            if rule in rules
        )
        for stack in ("dev", "prod")
    }
    assert expected in texts["dev"]
    assert expected not in texts["prod"]


def test_pods_are_found_when_a_rule_covers_every_kind_that_runs_them() -> None:
    (policy,) = (item for item in policies(Configuration(), "dev") if item["name"] == "workloads-mandatory")
    (text,) = (entry["expression"] for entry in policy["spec"]["variables"] if entry["name"] == "pod")
    assert 'object.kind in ["Pod"] ? variables.whole[?"spec"]' in text
    path = '[?"spec"][?"jobTemplate"][?"spec"][?"template"][?"spec"]'
    assert f'object.kind in ["CronJob"] ? variables.whole{path}' in text


def test_committed_files_are_what_the_rules_say_when_compared() -> None:
    committed = {file.stem: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.json")}
    assert committed == files(load(datetime.now(UTC).date())), "run `python -m policies.admission`"
