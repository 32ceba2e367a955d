"""JSON as the API accepts it: UTF-8, no duplicate keys, no NaN, not deeper or larger than a person would write."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, Never, cast

from ml.contracts.storable import why_not_storable

MAX_BODY_BYTES: Final = 1_048_576
MAX_DEPTH: Final = 16
MAX_INTEGER_DIGITS: Final = 64
_STRINGS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS: Final = re.compile(r"[\[\]{}]")


class JsonError(ValueError):
    """The text is not what the API accepts as JSON; the message says what and where."""


def parse_json(text: bytes) -> Any:
    """Return what a JSON text says.

    Raises:
        JsonError: it is malformed, ambiguous or too deep.
    """
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonError(f"byte {error.start} is no UTF-8") from error
    _check_depth(decoded)
    try:
        parsed = json.loads(
            decoded,
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except json.JSONDecodeError as error:
        raise JsonError(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
    if "\\u" in decoded:
        # Only escapes can make such characters: they are no UTF-8, and no JSON unless escaped.
        _check_texts(parsed)
    return parsed


def _check_depth(text: str) -> None:
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise JsonError(f"it is nested deeper than {MAX_DEPTH} levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise JsonError(f"the key {key!r} is there twice in one object")
        found[key] = value
    return found


def _no_constant(word: str) -> Never:
    raise JsonError(f"{word} is no number of JSON")


def _integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise JsonError(f"a number has more than {MAX_INTEGER_DIGITS} digits")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise JsonError(f"the number {digits[:40]} is out of range")
    return value


def _check_texts(value: object) -> None:
    """Refuse what the event store cannot hold, in keys too."""
    if isinstance(value, str):
        found = why_not_storable(value)
        if found is not None:
            raise JsonError(f"a text holds {found}")
    elif isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            _check_texts(key)
            _check_texts(item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            _check_texts(item)
