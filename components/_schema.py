"""Reads untrusted configuration into frozen dataclasses: a closed schema whose every problem is reported at once.

A field of a `@schema` class declared with `setting(rule)` names the rule that its value must satisfy. The keys of the
configuration are the field names in camelCase; any other key is a problem. Nothing here knows what it configures.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast, dataclass_transform

T = TypeVar("T")
S = TypeVar("S")

_RULE = "rule"
_MISSING = dataclasses.MISSING


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the configuration."""

    key: str
    """Path of the value, such as `trackingServer.workers`."""
    value: str
    """The value as written, or what to show instead of it."""
    allowed: str

    def __str__(self) -> str:
        return f"{self.key} {self.value}: allowed is {self.allowed}"


class Problems:
    """Collects problems while a configuration is read."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, key: str, raw: object, allowed: str) -> None:
        """Record that the value `raw` at `key` is not allowed."""
        self.found.append(Problem(key, f"= {_show(raw)}", allowed))

    def missing(self, key: str, allowed: str) -> None:
        """Record that a value without a default is not there."""
        self.found.append(Problem(key, "is missing", allowed))

    def unknown(self, key: str, known: Sequence[str]) -> None:
        """Record a key that the schema does not have."""
        self.found.append(Problem(key, "is an unknown key", f"one of {', '.join(sorted(known))}"))


@dataclass(frozen=True)
class Rule(Generic[T]):
    """What a value must be, and how it is read."""

    allowed: str
    """The allowed values in words; part of the error message."""
    read: Callable[[object, str, Problems], T | None]
    """Takes the raw value, its key and the collector; returns the value, or None after recording a problem."""
    is_text: bool = False
    """Whether a configuration value, which always arrives as text, is taken as it is instead of being parsed."""


def setting(rule: Rule[T], *, default: object = _MISSING, default_factory: Callable[[], object] | None = None) -> T:
    """Declare a field of a `@schema` class that is read by `rule`; without a default it must be given."""
    options: dict[str, Any] = {"metadata": {_RULE: rule}}
    if default_factory is not None:
        options["default_factory"] = default_factory
    elif default is not _MISSING:
        options["default"] = default
    return cast(T, dataclasses.field(**options))


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(setting,))
def schema(cls: type[S]) -> type[S]:
    """Make a class a frozen, keyword-only dataclass that `read_section` can read."""
    return dataclass(frozen=True, kw_only=True)(cls)


def integer(minimum: int, maximum: int, unit: str = "") -> Rule[int]:
    """Accept a whole number within the bounds, both included."""
    allowed = f"a whole number from {minimum} to {maximum}{f' ({unit})' if unit else ''}"

    def read(raw: object, key: str, problems: Problems) -> int | None:
        if isinstance(raw, int) and not isinstance(raw, bool) and minimum <= raw <= maximum:
            return raw
        problems.add(key, raw, allowed)
        return None

    return Rule(allowed, read)


def flag() -> Rule[bool]:
    """Accept true or false."""

    def read(raw: object, key: str, problems: Problems) -> bool | None:
        if isinstance(raw, bool):
            return raw
        problems.add(key, raw, "true or false")
        return None

    return Rule("true or false", read)


def text(pattern: str, allowed: str, *, max_length: int = 253) -> Rule[str]:
    """Accept a text that matches the whole pattern."""
    compiled = re.compile(pattern)

    def read(raw: object, key: str, problems: Problems) -> str | None:
        if isinstance(raw, str) and len(raw) <= max_length and compiled.fullmatch(raw):
            return raw
        problems.add(key, raw, allowed)
        return None

    return Rule(allowed, read, is_text=True)


def listing(item: Rule[T], *, minimum: int = 0, maximum: int = 64) -> Rule[tuple[T, ...]]:
    """Accept a list of distinct items."""
    allowed = f"a list of {minimum} to {maximum} different items, each {item.allowed}"

    def read(raw: object, key: str, problems: Problems) -> tuple[T, ...] | None:
        if not isinstance(raw, list) or not minimum <= len(cast(list[object], raw)) <= maximum:
            problems.add(key, raw, allowed)
            return None
        entries = cast(list[object], raw)
        shown = [_show(entry) for entry in entries]
        if len(set(shown)) != len(shown):
            problems.add(key, raw, allowed)
            return None
        values = [item.read(entry, f"{key}[{index}]", problems) for index, entry in enumerate(entries)]
        return tuple(value for value in values if value is not None)

    return Rule(allowed, read)


def table(value: Rule[T], *, keys: Sequence[str] | None = None, key_rule: Rule[str] | None = None) -> Rule[Mapping[str, T]]:
    """Accept a table whose keys are among `keys`, or satisfy `key_rule`."""
    allowed = f"a table of {', '.join(sorted(keys)) if keys else 'names'} to {value.allowed}"

    def read(raw: object, key: str, problems: Problems) -> Mapping[str, T] | None:
        if not isinstance(raw, dict):
            problems.add(key, raw, allowed)
            return None
        entries: dict[str, T] = {}
        for name, entry in cast(dict[str, object], raw).items():
            path = f"{key}.{name}"
            if keys is not None and name not in keys:
                problems.unknown(path, keys)
            elif key_rule is not None and key_rule.read(name, path, problems) is None:
                continue
            elif (accepted := value.read(entry, path, problems)) is not None:
                entries[name] = accepted
        return entries

    return Rule(allowed, read)


def section(cls: type[S], base: S | None = None) -> Rule[S]:
    """Accept a table that fits a `@schema` class; keys it leaves out are taken from `base`."""
    allowed = f"a table of {', '.join(sorted(_keys(cls)))}"

    def read(raw: object, key: str, problems: Problems) -> S | None:
        if not isinstance(raw, dict):
            problems.add(key, raw, allowed)
            return None
        return read_section(cls, cast(dict[str, object], raw), problems, prefix=f"{key}.", base=base)

    return Rule(allowed, read)


class Checked(Protocol):
    """A `@schema` class with conditions that concern more than one of its fields."""

    def conflicts(self) -> Iterable[tuple[str, str]]:
        """Yield a field and what is allowed in it, for every field whose value does not fit the others."""
        ...


def read_section(
    cls: type[S], raw: Mapping[str, object], problems: Problems, *, prefix: str = "", base: S | None = None
) -> S | None:
    """Read a table into `cls`; record every problem and return None if there is one in this table."""
    keys = _keys(cls)
    before = len(problems.found)
    for name in raw:
        if name not in keys:
            problems.unknown(f"{prefix}{name}", list(keys))
    values: dict[str, Any] = {}
    for key, field in keys.items():
        rule = _rule(field)
        if key in raw:
            values[field.name] = rule.read(raw[key], f"{prefix}{key}", problems)
        elif base is not None:
            values[field.name] = getattr(base, field.name)
        elif field.default is _MISSING and field.default_factory is _MISSING:
            problems.missing(f"{prefix}{key}", rule.allowed)
    if len(problems.found) > before:
        return None
    result = cls(**values)
    for name, allowed in cast(Checked, result).conflicts() if hasattr(result, "conflicts") else ():
        problems.add(f"{prefix}{camel_case(name)}", getattr(result, name), allowed)
    return result if len(problems.found) == before else None


def decode(cls: type[Any], raw: Mapping[str, str]) -> dict[str, object]:
    """Turn a flat configuration, whose values are all texts, into the values that the rules of `cls` expect."""
    keys = _keys(cls)
    return {
        key: value if key not in keys or _rule(keys[key]).is_text else _parse(value) for key, value in raw.items()
    }


def camel_case(name: str) -> str:
    """Return a field's name as it is written in the configuration."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def _keys(cls: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    return {camel_case(field.name): field for field in dataclasses.fields(cls) if _RULE in field.metadata}


def _rule(field: dataclasses.Field[Any]) -> Rule[Any]:
    return cast(Rule[Any], field.metadata[_RULE])


def _parse(value: str) -> object:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value  # the rule refuses the text and says what is allowed


def _show(raw: object) -> str:
    shown = json.dumps(raw, sort_keys=True, default=str)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
