"""The rules for single values of a configuration: each says what is allowed, reads a raw value and reports problems."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import TypeVar, cast

from components._schema import Problems, Rule, Sensitive, canonical

T = TypeVar("T")
S = TypeVar("S")
_HIGHEST_PORT = 65_535
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


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


dns_label = text(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", "a DNS label: a-z, 0-9 and inner hyphens", max_length=63)
own_namespace = text(
    r"(?!kube-)[a-z0-9]([a-z0-9-]*[a-z0-9])?", "a DNS label that does not begin with `kube-`", max_length=63
)
"""A namespace that the stack makes."""
word = text(r"\S+", "a text without spaces")


def choice(values: Sequence[str]) -> Rule[str]:
    """Accept one of these texts."""
    allowed = f"one of {', '.join(values)}"

    def read(raw: object, key: str, problems: Problems) -> str | None:
        if isinstance(raw, str) and raw in values:
            return raw
        problems.add(key, raw, allowed)
        return None

    return Rule(allowed, read, is_text=True)


def network(longest_prefix: int) -> Rule[str]:
    """Accept an IPv4 network in CIDR form, not smaller than this prefix says."""
    allowed = f"an IPv4 network such as 10.64.0.0/16, up to /{longest_prefix}"

    def read(raw: object, key: str, problems: Problems) -> str | None:
        try:
            found = IPv4Network(raw) if isinstance(raw, str) and "/" in raw else None
        except ValueError:  # not a network, or one with host bits
            found = None
        if found is not None and 0 < found.prefixlen <= longest_prefix:
            return str(found)
        problems.add(key, raw, allowed)
        return None

    return Rule(allowed, read, is_text=True)


def host_and_port(example: str) -> Rule[str]:
    """Accept a host's name in small letters, or its IPv4 address, with a port."""
    allowed = f"a host name (a-z, 0-9, hyphens, dots) or IPv4 address with its port, such as {example}"

    def read(raw: object, key: str, problems: Problems) -> str | None:
        host, _, port = raw.rpartition(":") if isinstance(raw, str) else ("", "", "")
        if _is_host(host) and re.fullmatch(r"[1-9][0-9]{0,4}", port) and int(port) <= _HIGHEST_PORT:
            return f"{host}:{port}"
        problems.add(key, raw, allowed)
        return None

    return Rule(allowed, read, is_text=True)


def _is_host(text: str) -> bool:
    if not _HOST.fullmatch(text):
        return False
    if not text.rpartition(".")[2].isdecimal():
        return True
    try:  # no name ends in a number
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def sensitive(min_length: int, hint: str) -> Rule[Sensitive]:
    """Accept a text that is stored encrypted."""
    allowed = f"a text of at least {min_length} characters, {hint}"

    def read(raw: object, key: str, problems: Problems) -> Sensitive | None:
        if isinstance(raw, Sensitive) and len(raw.reveal()) >= min_length:
            return raw
        problems.add(key, Sensitive(""), allowed)
        return None

    return Rule(allowed, read, is_text=True)


def either(first: Rule[T], second: Rule[S]) -> Rule[T | S]:
    """Accept what one of two rules accepts; a value that both refuse is not shown."""
    allowed = f"{first.allowed}, or {second.allowed}"

    def read(raw: object, key: str, problems: Problems) -> T | S | None:
        for rule in (first, second):
            value = rule.read(raw, key, Problems())
            if value is not None:
                return value
        problems.add(key, Sensitive(""), allowed)
        return None

    return Rule(allowed, read, is_text=True)


def listing(item: Rule[T], *, minimum: int = 0, maximum: int = 64) -> Rule[tuple[T, ...]]:
    """Accept a list of distinct items."""
    allowed = f"a list of {minimum} to {maximum} different items, each {item.allowed}"

    def read(raw: object, key: str, problems: Problems) -> tuple[T, ...] | None:
        entries = cast("list[object]", raw) if isinstance(raw, list) else []
        distinct = len({canonical(entry) for entry in entries}) == len(entries)
        if not isinstance(raw, list) or not distinct or not minimum <= len(entries) <= maximum:
            problems.add(key, cast("object", raw), allowed)
            return None
        values = [item.read(entry, f"{key}[{index}]", problems) for index, entry in enumerate(entries)]
        return tuple(value for value in values if value is not None)

    return Rule(allowed, read)


def table(
    value: Rule[T], *, keys: Sequence[str] | None = None, key_rule: Rule[str] | None = None
) -> Rule[Mapping[str, T]]:
    """Accept a table whose keys are among `keys`, or satisfy `key_rule`."""
    allowed = f"a table of {', '.join(sorted(keys)) if keys else 'names'} to {value.allowed}"

    def read(raw: object, key: str, problems: Problems) -> Mapping[str, T] | None:
        if not isinstance(raw, dict):
            problems.add(key, raw, allowed)
            return None
        entries: dict[str, T] = {}
        for name, entry in cast("dict[str, object]", raw).items():
            path = f"{key}.{name}"
            if keys is not None and name not in keys:
                problems.unknown(path, keys)
            elif key_rule is not None and key_rule.read(name, path, problems) is None:
                continue
            elif (accepted := value.read(entry, path, problems)) is not None:
                entries[name] = accepted
        return entries

    return Rule(allowed, read)
