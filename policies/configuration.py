"""Levels per stack, settings of rules, exemptions. One mistake anywhere and nothing is judged."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final, cast

from policies import _quantity
from policies._model import Exemption, Level, SettingRule
from policies.registry import BY_ID

FILE: Final = Path(__file__).resolve().parent / "policies.toml"
_LEVELS: Final = tuple(level.value for level in Level)
_EXEMPTION_FIELDS: Final = ("rule", "stacks", "kind", "name", "owner", "reason", "expires")
_LONGEST_EXEMPTION_DAYS: Final = 366


class ConfigurationError(Exception):
    """The configuration is not usable; `problems` says why, all of it."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"the configuration of the policies is not usable, nothing was judged:\n{lines}")


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A configuration in which everything is as it must be."""

    default_level: Level = Level.MANDATORY
    levels: Mapping[str, Mapping[str, Level]] = field(default_factory=dict[str, Mapping[str, Level]])
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    exemptions: tuple[Exemption, ...] = ()

    def level(self, stack: str, rule_id: str) -> Level:
        """Return what a violation of a rule does in a stack."""
        return self.levels.get(stack, {}).get(rule_id, self.default_level)

    def of_rule(self, rule_id: str) -> Mapping[str, Any]:
        """Return the configured settings of a rule."""
        return self.settings.get(rule_id, {})

    def exemption(self, stack: str, rule_id: str) -> tuple[Exemption, ...]:
        """Return the exemptions of a rule in a stack."""
        return tuple(item for item in self.exemptions if item.rule == rule_id and stack in item.stacks)


def load(today: date, file: Path = FILE) -> Configuration:
    """Read the configuration.

    Raises:
        ConfigurationError: names every problem.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError([f"{file.name}: {error}"]) from None
    return parse(content, today)


def parse(content: Mapping[str, Any], today: date) -> Configuration:
    """Check a configuration.

    Raises:
        ConfigurationError: names every problem.
    """
    problems = [
        f"{key}: allowed are levels, stacks, settings, exemptions"
        for key in content
        if key not in ("levels", "stacks", "settings", "exemptions")
    ]
    default = _default_level(_table(content, "levels", problems), problems)
    stacks = _table(content, "stacks", problems)
    levels = {stack: _levels(stack, _table(stacks, stack, problems), problems) for stack in stacks}
    settings = _settings(_table(content, "settings", problems), problems)
    exemptions = _exemptions(content.get("exemptions", []), tuple(stacks), today, problems)
    if problems:
        raise ConfigurationError(problems)
    return Configuration(default_level=default, levels=levels, settings=settings, exemptions=exemptions)


def _table(content: Mapping[str, Any], key: str, problems: list[str]) -> Mapping[str, Any]:
    value = content.get(key, {})
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    problems.append(f"{key}: {value!r}; allowed is a table")
    return {}


def _level(place: str, value: Any, problems: list[str]) -> Level:
    if value in _LEVELS:
        return Level(value)
    problems.append(f"{place}: {value!r}; allowed are {', '.join(_LEVELS)}")
    return Level.MANDATORY


def _default_level(table: Mapping[str, Any], problems: list[str]) -> Level:
    problems.extend(
        f"levels.{key}: allowed is `default`; a rule's level stands under its stack"
        for key in table
        if key != "default"
    )
    return _level("levels.default", table.get("default", "mandatory"), problems)


def _levels(stack: str, table: Mapping[str, Any], problems: list[str]) -> dict[str, Level]:
    problems.extend(f"stacks.{stack}.{rule}: there is no such rule" for rule in table if rule not in BY_ID)
    return {rule: _level(f"stacks.{stack}.{rule}", value, problems) for rule, value in table.items()}


def _settings(table: Mapping[str, Any], problems: list[str]) -> dict[str, Mapping[str, Any]]:
    settings: dict[str, Mapping[str, Any]] = {}
    for rule, value in table.items():
        if rule not in BY_ID:
            problems.append(f"settings.{rule}: there is no such rule")
            continue
        known = BY_ID[rule].settings
        given = _table(table, rule, problems)
        for name in given:
            if name not in known:
                allowed = ", ".join(known) or "nothing: it has no settings"
                problems.append(f"settings.{rule}.{name}: allowed is {allowed}")
            elif not fits(known[name], given[name]):
                problems.append(f"settings.{rule}.{name}: {given[name]!r}; allowed is {_ALLOWED[known[name].kind]}")
        settings[rule] = cast("Mapping[str, Any]", value)
    return settings


_ALLOWED: Final = {
    "number": "a number of 0 or more",
    "amount": 'an amount such as "500m" or "2Gi"',
    "text": "a text",
    "texts": "a list of texts, at least one, none empty",
}


def fits(rule: SettingRule, value: Any) -> bool:
    """Say whether a value may be configured for a setting."""
    if rule.kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    if rule.kind == "amount":
        return isinstance(value, str) and _quantity.parse(value) is not None
    if rule.kind == "texts":
        items = cast("list[Any]", value) if isinstance(value, list) else []
        return bool(items) and all(isinstance(item, str) and item for item in items)
    return isinstance(value, str)


def _exemptions(value: Any, stacks: tuple[str, ...], today: date, problems: list[str]) -> tuple[Exemption, ...]:
    if not isinstance(value, list):
        problems.append(f"exemptions: {value!r}; allowed is a list of tables")
        return ()
    found: list[Exemption] = []
    for index, item in enumerate(cast("list[Any]", value)):
        before = len(problems)
        table = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        problems.extend(f"exemptions[{index}]: {problem}" for problem in _exemption_problems(table, stacks, today))
        if len(problems) == before:
            found.append(_exemption(table))
    return tuple(found)


def _exemption(table: Mapping[str, Any]) -> Exemption:
    return Exemption(
        rule=table["rule"],
        stacks=tuple(table["stacks"]),
        kind=table["kind"],
        name=table["name"],
        owner=table["owner"],
        reason=table["reason"],
        expires=table["expires"],
    )


def _exemption_problems(table: Mapping[str, Any], stacks: tuple[str, ...], today: date) -> list[str]:
    problems = [f"{key}: allowed are {', '.join(_EXEMPTION_FIELDS)}" for key in table if key not in _EXEMPTION_FIELDS]
    for key in ("rule", "kind", "name", "owner", "reason"):
        value = table.get(key)
        if not isinstance(value, str) or not value.strip():
            problems.append(f"{key}: {value!r}; an exemption needs one, as a text")
    if isinstance(table.get("rule"), str) and table["rule"].strip() and table["rule"] not in BY_ID:
        problems.append(f"rule: {table['rule']!r}; there is no such rule")
    if table.get("name") == "*":
        problems.append("name: '*'; to exempt everything, set the rule's level for the stack")
    named = table.get("stacks")
    names = cast("list[Any]", named) if isinstance(named, list) else []
    if not names or any(name not in stacks for name in names):
        problems.append(f"stacks: {named!r}; allowed is a list of {', '.join(stacks) or 'stacks of this file'}")
    expires = table.get("expires")
    if type(expires) is not date:
        problems.append(f"expires: {expires!r}; an exemption needs a date, such as 2027-01-31")
    elif expires < today:
        problems.append(f"expires: {expires.isoformat()}; it has expired, repair the cause or decide anew")
    elif (expires - today).days > _LONGEST_EXEMPTION_DAYS:
        problems.append(f"expires: {expires.isoformat()}; at most a year ahead")
    return problems
