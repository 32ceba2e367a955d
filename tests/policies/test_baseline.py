"""Whoever weakens a policy is told by name what can be deployed from then on."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from policies._logic import Present
from policies._model import Exemption, Level, ObjectRule
from policies.configuration import Configuration
from policies.registry import BY_ID, RULES
from tests.policies import baseline


@pytest.fixture(scope="module")
def configuration() -> Configuration:
    return baseline.committed()


@pytest.fixture(scope="module")
def before() -> baseline.Refused:
    return baseline.recorded()


def test_nothing_more_can_be_deployed_when_policies_change(
    configuration: Configuration, before: baseline.Refused
) -> None:
    now_deployable = baseline.weakened(before, baseline.refused(configuration))
    assert not now_deployable, "\n".join(
        [*now_deployable, "if that is meant: python -m tests.policies.baseline, and say why in the change"]
    )


def test_baseline_is_current_when_policies_refuse_more(configuration: Configuration, before: baseline.Refused) -> None:
    more = sorted(baseline.refused(configuration) - before)
    assert more == [], "refused now and not recorded; run `python -m tests.policies.baseline`"


def test_every_rule_refuses_something_somewhere_when_recorded(before: baseline.Refused) -> None:
    assert {rule for _, rule, _ in before} == set(BY_ID)


def test_rule_and_manifest_are_named_when_a_level_is_lowered(
    configuration: Configuration, before: baseline.Refused
) -> None:
    levels = {**configuration.levels, "dev": {**configuration.levels["dev"], "pod-host-ipc": Level.ADVISORY}}
    lines = baseline.weakened(before, baseline.refused(replace(configuration, levels=levels)))
    expected = "pods: core/Pod web/shared-memory can now be deployed in dev: pod-host-ipc does not refuse it any more"
    assert expected in lines
    assert all("in dev: pod-host-ipc" in line for line in lines)


def test_rule_and_manifest_are_named_when_an_exemption_is_added(
    configuration: Configuration, before: baseline.Refused
) -> None:
    exemption = Exemption(
        rule="ingress-tls",
        stacks=("dev",),
        kind="networking.k8s.io/Ingress",
        name="mini*",
        owner="platform",
        reason="a test",
        expires=date(2030, 1, 1),
    )
    changed = replace(configuration, exemptions=(*configuration.exemptions, exemption))
    (line,) = baseline.weakened(before, baseline.refused(changed))
    assert line.startswith("network: networking.k8s.io/Ingress web/minimal can now be deployed in dev: ingress-tls")


def test_rule_and_manifest_are_named_when_a_setting_is_raised(
    configuration: Configuration, before: baseline.Refused
) -> None:
    changed = replace(configuration, settings={**configuration.settings, "replicas-limit": {"most": 100}})
    lines = baseline.weakened(before, baseline.refused(changed))
    assert len(lines) == len({stack for stack, _, _ in before})
    assert all(line.startswith("deployments: apps/Deployment web/shop-black-friday can now") for line in lines)


@pytest.mark.parametrize("is_removed", [True, False], ids=["removed", "loosened"])
def test_rule_and_manifests_are_named_when_a_rule_itself_is_weakened(
    configuration: Configuration, before: baseline.Refused, is_removed: bool
) -> None:
    rule = BY_ID["pod-host-pid"]
    assert isinstance(rule, ObjectRule)
    loosened = [] if is_removed else [replace(rule, demand=Present("containers"))]
    rules = [*(item for item in RULES if item.id != rule.id), *loosened]
    lines = baseline.weakened(before, baseline.refused(configuration, rules))
    assert any("web/node-debugger can now be deployed" in line for line in lines)
    assert all("pod-host-pid does not refuse" in line for line in lines)
