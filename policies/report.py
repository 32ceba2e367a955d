"""A report as lines for people and as SARIF for tools that show findings beside the code."""

from __future__ import annotations

from typing import Any, Final

from policies._model import Level, Rule, Severity, Verdict
from policies.engine import Judged, Report
from policies.registry import RULES

_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_SCORES: Final = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.0", Severity.LOW: "2.0"}
_ORDER: Final = tuple(Severity)


def word(item: Judged) -> str:
    """Return what a finding means for the deployment, in one word."""
    if item.finding.verdict is Verdict.VIOLATION:
        return "refused" if item.level is Level.MANDATORY else "advised"
    return item.finding.verdict.value


def ordered(report: Report) -> list[Judged]:
    """Return the findings, worst first."""
    return sorted(
        report.judged,
        key=lambda item: (
            tuple(Verdict).index(item.finding.verdict),
            item.level is not Level.MANDATORY,
            _ORDER.index(item.rule.severity),
            item.rule.id,
            item.finding.resource.title,
        ),
    )


def summary(report: Report) -> str:
    """Return one line with all numbers."""
    refused = sum(item.refuses for item in report.judged)
    advised = len(report.of(Verdict.VIOLATION)) - refused
    return (
        f"{report.stack}: {report.resources} resources, {len(RULES)} rules: {refused} refused, {advised} advised, "
        f"{len(report.of(Verdict.UNKNOWN))} unknown, {len(report.of(Verdict.EXEMPT))} exempt"
    )


def as_data(report: Report) -> dict[str, Any]:
    """Return a report for programs."""
    return {
        "stack": report.stack,
        "resources": report.resources,
        "refused": report.refuses,
        "findings": [
            {
                "rule": item.rule.id,
                "severity": item.rule.severity.value,
                "verdict": word(item),
                "resource": item.finding.resource.title,
                "urn": item.finding.resource.urn,
                "path": item.finding.path,
                "message": item.finding.message,
                "exemption": item.excuse,
            }
            for item in ordered(report)
        ],
    }


def as_sarif(report: Report) -> dict[str, Any]:
    """Return a report in the Static Analysis Results Interchange Format, version 2.1.0."""
    return {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "mlplatform policies", "rules": [_sarif_rule(rule) for rule in RULES]}},
                "results": [_sarif_result(item) for item in ordered(report)],
            }
        ],
    }


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.how},
        "properties": {"tags": list(rule.frameworks), "security-severity": _SCORES[rule.severity]},
    }


def _sarif_result(item: Judged) -> dict[str, Any]:
    levels = {"refused": "error", "advised": "warning"}
    place = {
        "fullyQualifiedName": f"{item.finding.resource.urn}#{item.finding.path}",
        "name": item.finding.resource.title,
    }
    result: dict[str, Any] = {
        "ruleId": item.rule.id,
        "level": levels.get(word(item), "note"),
        "kind": {"unknown": "open"}.get(word(item), "fail"),
        "message": {"text": f"{item.finding.resource.title}: {item.finding.message}"},
        "locations": [{"logicalLocations": [place]}],
    }
    if result["kind"] == "open":
        result["level"] = "none"
    if item.excuse:
        result["suppressions"] = [{"kind": "external", "justification": item.excuse}]
    return result
