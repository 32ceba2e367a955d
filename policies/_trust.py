"""Reads who may take a role of AWS, and which conditions say who that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from policies._iam import allowing, sid_of, texts

_WHO: Final = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
    }
)
"""Keys of conditions that say who asks, in small letters as AWS compares them."""
_MUST_FIT: Final = frozenset({"arnequals", "arnlike", "stringequals", "stringequalsignorecase", "stringlike"})
"""Operators that are false where the key is missing; `...IfExists` and negations let in whoever has none."""


def open_to_everybody(text: str) -> list[str] | None:
    """Return the names of the statements by which everybody may take a role; None if the text is no policy."""
    items = allowing(text)
    if items is None:
        return None
    return [sid_of(item) for item in items if _means_everybody(item) and not _says_who(item.get("Condition"))]


def _means_everybody(item: Mapping[str, Any]) -> bool:
    principal = item.get("Principal")
    named = list(_table(principal).values()) if isinstance(principal, Mapping) else [principal]
    return "NotPrincipal" in item or any("*" in texts(value) for value in named)


def _says_who(condition: Any) -> bool:
    return any(
        key.lower() in _WHO and all(_is_one(value) for value in texts(values)) and bool(texts(values))
        for operator, keys in _table(condition).items()
        if operator.lower().removeprefix("foranyvalue:") in _MUST_FIT
        for key, values in _table(keys).items()
    )


def _is_one(value: str) -> bool:
    """Say whether a value names an account or an organization; after a `/`, below these, there may be wildcards."""
    named = value.partition("/")[0]
    return bool(named) and not {"*", "?"} & set(named)


def _table(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
