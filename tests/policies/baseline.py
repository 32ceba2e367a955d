"""What each rule refuses of the corpus in each stack, recorded: a change that lets more through has to say so.

`python -m tests.policies.baseline` records anew. What then leaves baseline.json may be deployed from now on; a review
sees every line of it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from policies._model import ObjectRule, Rule
from policies.configuration import Configuration, load
from policies.engine import evaluate
from policies.registry import RULES
from tests.policies import corpus

FILE: Final = Path(__file__).resolve().parent / "baseline.json"
UNNAMED: Final = "(any other)"
"""Stands for a stack of which policies.toml says nothing."""

Refused = set[tuple[str, str, str]]
"""Stack, rule, and name of the case."""


def committed() -> Configuration:
    """Return the configuration that deployments go by."""
    return load(datetime.now(UTC).date())


def refused(configuration: Configuration, rules: Sequence[Rule] = RULES) -> Refused:
    """Return what is refused of the corpus in every stack."""
    found: Refused = set()
    groups = [corpus.alone(), *corpus.stacks().values()]
    for stack in [*configuration.levels, UNNAMED]:
        for cases in groups:
            resources = [case.resource for case in cases]
            names = {id(resource): case.name for resource, case in zip(resources, cases, strict=True)}
            alone = cases[0].stack == ""
            report = evaluate(resources, configuration, stack, [rule for rule in rules if _asked(rule, alone=alone)])
            found |= {(stack, item.rule.id, names[id(item.finding.resource)]) for item in report.judged if item.refuses}
    return found


def weakened(before: Refused, now: Refused) -> list[str]:
    """Return a line for everything that was refused and is not any more."""
    return [
        f"{case} can now be deployed in {stack}: {rule} does not refuse it any more"
        for stack, rule, case in sorted(before - now)
    ]


def recorded() -> Refused:
    """Return the baseline."""
    content = cast("dict[str, Any]", json.loads(FILE.read_text(encoding="utf-8")))
    stacks = cast("list[str]", content["stacks"])
    found = {(stack, rule, case) for stack in stacks for rule, case in _pairs(content["everywhere"])}
    for stack, rules in content["only"].items():
        found |= {(stack, rule, case) for rule, case in _pairs(rules)}
    return found


def record(found: Refused) -> None:
    """Write the baseline: what all stacks refuse once, and beside it what only some do."""
    stacks = sorted({stack for stack, _, _ in found})
    pairs = {(rule, case) for _, rule, case in found}
    everywhere = {(rule, case) for rule, case in pairs if all((stack, rule, case) in found for stack in stacks)}
    only = {stack: {(rule, case) for at, rule, case in found if at == stack} - everywhere for stack in stacks}
    content = {
        "stacks": stacks,
        "everywhere": _by_rule(everywhere),
        "only": {stack: _by_rule(left) for stack, left in only.items() if left},
    }
    FILE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _asked(rule: Rule, *, alone: bool) -> bool:
    return isinstance(rule, ObjectRule) or not alone


def _pairs(rules: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    return [(rule, case) for rule, cases in rules.items() for case in cases]


def _by_rule(pairs: set[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for rule, case in sorted(pairs):
        found[rule].append(case)
    return found


if __name__ == "__main__":
    record(refused(committed()))
