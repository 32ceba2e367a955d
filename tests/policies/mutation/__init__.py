"""Proves that the tests see when a rule is weakened: changes every rule in every small way and asks the changed one.

A change that no question notices has survived; what survives is listed in survivors.toml, with the reason why it is
the same rule in other words. General tools for this start the tests anew for every change and do not know what a demand
is; here a change takes milliseconds.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from policies import rules
from policies._model import Rule
from policies.configuration import fits
from tests.policies.mutation.mutants import Mutant, mutants
from tests.policies.questions import Question, questions, unrepaired, wrong

FOLDER: Final = Path(rules.__path__[0])


@dataclass(frozen=True)
class Tried:
    """What became of the changes of one rule's file."""

    rule: str
    killed: int
    survived: tuple[str, ...]
    """The text before and after, of each."""


def files() -> list[str]:
    """Return the names of all rules' modules."""
    return sorted(file.stem for file in FOLDER.glob("*.py") if file.stem != "__init__")


def attempt(name: str) -> Tried:
    """Try every change of one rule's file."""
    module = importlib.import_module(f"policies.rules.{name}")
    rule: Rule = module.RULE
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    asked = sorted(questions(rule), key=lambda question: len(question.resources))
    killed, survived = 0, list[str]()
    for mutant in mutants(source, f"{name}.py"):
        if _is_noticed(mutant, rule, asked):
            killed += 1
        else:
            survived.append(mutant.change)
    return Tried(rule.id, killed, tuple(survived))


def _is_noticed(mutant: Mutant, original: Rule, asked: list[Question]) -> bool:
    namespace: dict[str, Any] = {"__name__": "changed"}
    try:
        exec(mutant.code, namespace)  # noqa: S102 a rule of this repository with one change
        changed: Rule = namespace["RULE"]
        if not _settings_hold(changed, original):
            return True
        return any(True for _ in (*wrong(changed, asked), *unrepaired(changed, original)))
    except Exception:  # noqa: BLE001 a rule that cannot be loaded or asked is noticed, whatever it raises
        return True


def _settings_hold(changed: Rule, original: Rule) -> bool:
    return all(
        name in original.settings and fits(setting, _as_configured(setting.default))
        for name, setting in changed.settings.items()
    ) and _kinds_of(changed) == _kinds_of(original)


def _kinds_of(rule: Rule) -> Mapping[str, str]:
    return {name: setting.kind for name, setting in rule.settings.items()}


def _as_configured(value: Any) -> Any:
    return list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value
