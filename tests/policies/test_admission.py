"""The objects that tell an API server the same rules; what a server makes of their CEL is not tested here."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from policies import cel
from policies._logic import (
    AmountAtMost,
    AtMost,
    Demand,
    Equal,
    Every,
    EveryValue,
    Filled,
    Is,
    Matches,
    NoKey,
    Setting,
    Some,
)
from policies._model import Exemption, Level
from policies.admission import enforceable, expression, objects
from policies.configuration import Configuration
from policies.registry import BY_ID, OBJECT_RULES


@pytest.mark.parametrize(
    ("demand", "expected"),
    [
        (Is("a.b", "x"), '(o[?"a"][?"b"].hasValue() && o[?"a"][?"b"].value() == "x")'),
        (
            ~Is("labels[a.b/c]", True),
            '!((o[?"labels"][?"a.b/c"].hasValue() && o[?"labels"][?"a.b/c"].value() == true))',
        ),
        (Every("l", Is("", "x")), 'o[?"l"].orValue([]).all(v0, v0 == "x")'),
        (
            Some("l", Every("m", Filled(""))),
            'o[?"l"].orValue([]).exists(v0, v0[?"m"].orValue([]).all(v1, size(v1) > 0))',
        ),
        (Matches("a", r"\d$"), r'(o[?"a"].hasValue() && o[?"a"].value().matches("\\d$"))'),
        (AtMost("a", Setting("most")), '(o[?"a"].hasValue() && double(o[?"a"].value()) <= 7.0)'),
        (Equal("a", "b"), '(o[?"a"].hasValue() && o[?"a"] == o[?"b"])'),
        (
            EveryValue("a", ~Is("b", 1)),
            (
                'o[?"a"].orValue(dyn({})).all(k0, !((o[?"a"].orValue(dyn({}))[k0][?"b"].hasValue()'
                ' && o[?"a"].orValue(dyn({}))[k0][?"b"].value() == 1)))'
            ),
        ),
        (NoKey("a", "x"), 'o[?"a"].orValue({}).all(k0, !k0.matches("x"))'),
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


def test_policy_and_binding_are_made_when_a_rule_is_about_cluster_objects() -> None:
    made = objects(Configuration(), "dev")
    wanted = {f"mlplatform.dev-{rule.id}" for rule in OBJECT_RULES if enforceable(rule)}
    for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"):
        assert {item["metadata"]["name"] for item in made if item["kind"] == kind} == wanted
    assert not any("aws" in item["metadata"]["name"] for item in made)


def test_binding_follows_the_level_when_one_is_set() -> None:
    levels = {"dev": {"ingress-tls": Level.ADVISORY, "gateway-tls": Level.DISABLED}}
    made = objects(Configuration(levels=levels), "dev", ("models",))
    bindings = {item["spec"]["policyName"]: item["spec"] for item in made if item["kind"].endswith("Binding")}
    assert bindings["mlplatform.dev-ingress-tls"]["validationActions"] == ["Warn", "Audit"]
    assert bindings["mlplatform.dev-account-token"]["validationActions"] == ["Deny", "Audit"]
    assert "mlplatform.dev-gateway-tls" not in bindings
    selector = bindings["mlplatform.dev-account-token"]["matchResources"]["namespaceSelector"]["matchExpressions"]
    assert selector[0]["values"] == ["models"]


def test_exemption_becomes_a_condition_when_it_holds_in_the_stack() -> None:
    exemption = Exemption(
        rule="gateway-tls",
        stacks=("dev",),
        kind="networking.istio.io/Gateway",
        name="platform-*",
        owner="platform",
        reason="a test",
        expires=date(2030, 1, 1),
    )
    configuration = Configuration(exemptions=(exemption,))
    conditions = {
        stack: next(
            item["spec"].get("matchConditions")
            for item in objects(configuration, stack)
            if item["metadata"]["name"] == "mlplatform.dev-gateway-tls"
        )
        for stack in ("dev", "prod")
    }
    expected = '!(object.kind == "Gateway" && object.metadata.name.startsWith("platform-"))'
    assert conditions == {"dev": [{"name": "exemption-1", "expression": expected}], "prod": None}


def test_pods_are_found_when_a_rule_covers_every_kind_that_runs_them() -> None:
    policy = next(
        item
        for item in objects(Configuration(), "dev")
        if item["metadata"]["name"] == "mlplatform.dev-pod-host-network"
    )
    text = policy["spec"]["variables"][0]["expression"]
    assert 'object.kind in ["Pod"] ? object.spec' in text
    assert 'object.kind in ["CronJob"] ? object.spec.jobTemplate.spec.template.spec' in text
    assert {rule.id for rule in OBJECT_RULES} <= set(BY_ID)
