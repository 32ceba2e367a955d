"""Reads untrusted configuration into frozen dataclasses: a closed schema whose every problem is reported at once.

A field of a `@schema` class declared with `setting(rule)` names the rule that its value must satisfy. The keys of the
configuration are the field names in camelCase; any other key is a problem. Nothing here knows what it configures.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
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


class Sensitive:
    """A text that is stored encrypted; it never appears in a message or a representation."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text; wrap it as a secret output at once."""
        return self._value

    def __repr__(self) -> str:
        return "[secret]"


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
    return cast("T", dataclasses.field(**options))


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(setting,))
def schema(cls: type[S]) -> type[S]:
    """Make a class a frozen, keyword-only dataclass that `read_section` can read."""
    return dataclass(frozen=True, kw_only=True)(cls)


def section(cls: type[S], base: S | None = None) -> Rule[S]:
    """Accept a table that fits a `@schema` class; keys it leaves out are taken from `base`."""
    allowed = f"a table of {', '.join(sorted(_keys(cls)))}"

    def read(raw: object, key: str, problems: Problems) -> S | None:
        if not isinstance(raw, dict):
            problems.add(key, raw, allowed)
            return None
        return read_section(cls, cast("dict[str, object]", raw), problems, prefix=f"{key}.", base=base)

    return Rule(allowed, read)


class Checked(Protocol):
    """A `@schema` class with conditions that concern more than one of its fields."""

    def conflicts(self, faulty: AbstractSet[str]) -> Iterable[tuple[str, str]]:
        """Yield a field and what is allowed in it, for every field whose value does not fit the others.

        Fields that are `faulty` have been reported already and hold nothing usable.
        """
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
    faulty: set[str] = set()
    for key, field in keys.items():
        sound = len(problems.found)
        if key in raw:
            values[field.name] = _rule(field).read(raw[key], f"{prefix}{key}", problems)
        elif base is not None:
            values[field.name] = getattr(base, field.name)
        elif field.default is _MISSING and field.default_factory is _MISSING:
            problems.missing(f"{prefix}{key}", _rule(field).allowed)
            values[field.name] = None
        if len(problems.found) > sound:
            faulty.add(field.name)
    result = cls(**values)
    if hasattr(result, "conflicts"):
        for name, allowed in cast("Checked", result).conflicts(faulty):
            problems.add(f"{prefix}{camel_case(name)}", getattr(result, name), allowed)
    return result if len(problems.found) == before else None


def decode(cls: type[Any], raw: Mapping[str, str], encrypted: AbstractSet[str]) -> dict[str, object]:
    """Turn a flat configuration, whose values are all texts, into the values that the rules of `cls` expect."""
    keys = _keys(cls)
    decoded: dict[str, object] = {}
    for key, value in raw.items():
        if key in encrypted:
            decoded[key] = Sensitive(value)
        elif key not in keys or _rule(keys[key]).is_text:
            decoded[key] = value
        else:
            decoded[key] = _parse(value)
    return decoded


def camel_case(name: str) -> str:
    """Return a field's name as it is written in the configuration."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def _keys(cls: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    return {camel_case(field.name): field for field in dataclasses.fields(cls) if _RULE in field.metadata}


def _rule(field: dataclasses.Field[Any]) -> Rule[Any]:
    return cast("Rule[Any]", field.metadata[_RULE])


def _parse(value: str) -> object:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value  # the rule refuses the text and says what is allowed


def canonical(raw: object) -> str:
    """Return a text that is equal for two raw values exactly when they are equal."""
    return json.dumps(raw, sort_keys=True, default=str)


def _show(raw: object) -> str:
    if isinstance(raw, Sensitive):
        return repr(raw)
    shown = canonical(raw)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
