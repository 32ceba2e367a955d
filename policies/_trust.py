"""Reads who may take a role of AWS, and which conditions say who that is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
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

_BY_WEB_IDENTITY: Final = "sts:assumerolewithwebidentity"
_OF_TOKEN: Final = (":sub",)
"""Ends of the keys that say whom a provider made a token for. Its `aud` says what for, and is the same for all."""
_OF_WEB_LOGIN: Final = (":sub", ":aud", ":app_id")
"""Of providers that AWS knows by itself (Cognito, Google), a token is made for one pool or program: these name it."""
_ANYBODY: Final = re.compile(r"(?:[a-z_]*:?|repo:[^/]*)[*?]|\Z")
"""Starts of subjects that name nobody: a wildcard, also after what kind of subject it is, as in GitHub's `repo:*`, or
within an owner of repositories, as in `repo:shop*`: anybody makes himself an owner of a longer name."""


def open_to_everybody(text: str) -> list[str] | None:
    """Return the names of the statements by which everybody may take a role; None if the text is no policy."""
    items = allowing(text)
    return None if items is None else [sid_of(item) for item in items if _is_open(item)]


def _is_open(item: Mapping[str, Any]) -> bool:
    condition = item.get("Condition")
    if _means_everybody(item):
        return not _must_fit(condition, lambda key: key in _WHO, _is_one)
    ends = _subject_keys(item)
    return bool(ends) and not _must_fit(condition, lambda key: key.endswith(ends), _is_somebody)


def _means_everybody(item: Mapping[str, Any]) -> bool:
    principal = item.get("Principal")
    named = list(_table(principal).values()) if isinstance(principal, Mapping) else [principal]
    return "NotPrincipal" in item or any("*" in texts(value) for value in named)


def _subject_keys(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return how the keys end of which one must say whose token takes a role; nothing if none takes it by a token."""
    providers = _table(item.get("Principal")).get("Federated")
    if not providers or not any(fnmatchcase(_BY_WEB_IDENTITY, name.lower()) for name in texts(item.get("Action", "*"))):
        return ()
    return _OF_TOKEN if any(name.startswith("arn:") for name in texts(providers)) else _OF_WEB_LOGIN


def _must_fit(condition: Any, fits_key: Callable[[str], bool], fits_value: Callable[[str], bool]) -> bool:
    """Say whether a condition demands such a key, and allows only such values of it."""
    return any(
        fits_key(key.lower()) and bool(texts(values)) and all(fits_value(value) for value in texts(values))
        for operator, keys in _table(condition).items()
        if operator.lower().removeprefix("foranyvalue:") in _MUST_FIT
        for key, values in _table(keys).items()
    )


def _is_one(value: str) -> bool:
    """Say whether a value names an account or an organization; after a `/`, below these, there may be wildcards."""
    named = value.partition("/")[0]
    return bool(named) and not {"*", "?"} & set(named)


def _is_somebody(value: str) -> bool:
    return _ANYBODY.match(value) is None


def _table(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
