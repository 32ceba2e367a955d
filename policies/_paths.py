"""Places in nested data: `spec.containers.0.image`; keys with dots in brackets: `labels[app.kubernetes.io/name]`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, cast

_TABLE: Final[type[Any]] = dict
_STEP: Final = re.compile(r"\[([^\]]+)\]|([^.\[\]]+)")


class Unknown(Enum):
    """A value that is not known before the update; no rule may take it for good."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


class Missing(Enum):
    """What a path leads to where there is nothing."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


@lru_cache(maxsize=4096)
def steps(path: str) -> tuple[str, ...]:
    """Return the keys of a path, outermost first."""
    return tuple(bracketed or plain for bracketed, plain in cast("list[tuple[str, str]]", _STEP.findall(path)))


def read(value: Any, path: str) -> Any:
    """Return what lies at a path: MISSING if nothing or null does, UNKNOWN if that cannot be known yet."""
    for step in steps(path):
        if isinstance(value, _TABLE):  # nearly always, and far cheaper to ask than the abstract types below
            value = value.get(step, MISSING)
        elif value is UNKNOWN:
            return UNKNOWN
        elif isinstance(value, Mapping):
            value = cast("Mapping[str, Any]", value).get(step, MISSING)
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes) and step.isdecimal():
            items = cast("Sequence[Any]", value)
            value = items[int(step)] if int(step) < len(items) else MISSING
        else:
            return MISSING
    return MISSING if value is None else value


def join(prefix: str, path: str) -> str:
    """Return a path below another."""
    return f"{prefix}.{path}" if prefix and path and not path.startswith("[") else f"{prefix}{path}"


def changed(value: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of nested data with the values of a patch (by path) in place; MISSING removes."""
    copy = cast("dict[str, Any]", _copied(value))
    for path, replacement in patch.items():
        _put(copy, steps(path), _copied(replacement))
    return copy


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_copied(item) for item in cast("Sequence[Any]", value)]
    return value


def _put(target: Any, path: tuple[str, ...], value: Any) -> None:
    for step, following in pairwise(path):
        if isinstance(target, list):
            items = cast("list[Any]", target)
            if int(step) == len(items):
                items.append({})
            target = items[int(step)]
        else:
            empty: Any = [] if following == "0" else {}
            table = cast("dict[str, Any]", target)
            if table.get(step) is None:
                table[step] = empty
            target = table[step]
    last = path[-1]
    if isinstance(target, list):
        items = cast("list[Any]", target)
        if value is MISSING:
            del items[int(last) : int(last) + 1]
        else:
            items[int(last) : int(last) + 1] = [value]
    elif value is MISSING:
        cast("dict[str, Any]", target).pop(last, None)
    else:
        cast("dict[str, Any]", target)[last] = value
