"""Applies all rules to all resources: the one verdict that every place shares."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from policies._model import Finding, Level, ObjectRule, Resource, Rule, Situated, StackRule, Verdict
from policies.configuration import Configuration
from policies.registry import RULES


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A finding, the rule it is about, and what it does to the deployment."""

    rule: Rule
    finding: Finding
    level: Level
    excuse: str = ""
    """Owner, reason and last day of the exemption, if there is one."""

    @property
    def refuses(self) -> bool:
        """Whether the deployment must not go on."""
        return self.finding.verdict is Verdict.VIOLATION and self.level is Level.MANDATORY


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that the rules found in one stack."""

    stack: str
    resources: int
    judged: tuple[Judged, ...]

    def of(self, verdict: Verdict) -> tuple[Judged, ...]:
        """Return the findings with one verdict."""
        return tuple(item for item in self.judged if item.finding.verdict is verdict)

    @property
    def refuses(self) -> bool:
        """Whether the deployment must not go on."""
        return any(item.refuses for item in self.judged)


def evaluate(
    resources: Sequence[Resource], configuration: Configuration, stack: str, rules: Sequence[Rule] = RULES
) -> Report:
    """Judge the resources of a stack."""
    by_kind: dict[str, list[Resource]] = defaultdict(list)
    for resource in resources:
        by_kind[resource.kind].append(resource)
    judged = [item for rule in rules for item in _judge(rule, resources, by_kind, configuration, stack)]
    return Report(stack=stack, resources=len(resources), judged=tuple(judged))


def _judge(
    rule: Rule,
    resources: Sequence[Resource],
    by_kind: dict[str, list[Resource]],
    configuration: Configuration,
    stack: str,
) -> list[Judged]:
    level = configuration.level(stack, rule.id)
    if level is Level.DISABLED:
        return []
    settings = configuration.of_rule(rule.id)
    if isinstance(rule, ObjectRule):
        concerned = [resource for kind in rule.kinds for resource in by_kind.get(kind, ())]
        findings = [finding for resource in concerned for finding in rule.check(resource, settings)]
    elif isinstance(rule, StackRule) and any(kind in by_kind for kind in rule.concerns):
        findings = list(rule.check(Situated(resources=resources, settings=rule.values(settings))))
    else:
        findings = []
    return [_with_exemption(rule, finding, level, configuration, stack) for finding in findings]


def _with_exemption(rule: Rule, finding: Finding, level: Level, configuration: Configuration, stack: str) -> Judged:
    for exemption in configuration.exemption(stack, rule.id):
        if finding.verdict is Verdict.VIOLATION and exemption.covers(rule.id, finding.resource):
            excuse = f"{exemption.owner}, until {exemption.expires.isoformat()}: {exemption.reason}"
            return Judged(rule=rule, finding=replace(finding, verdict=Verdict.EXEMPT), level=level, excuse=excuse)
    return Judged(rule=rule, finding=finding, level=level)
