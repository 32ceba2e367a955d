"""Parses request bodies as JSON objects, with the messages of the parser that TensorFlow Serving uses (RapidJSON)."""

from __future__ import annotations

import json
from typing import Any, Final, cast

from local.modelserver.json_values import as_text
from local.modelserver.status import StatusError, invalid_argument

_MESSAGES: Final = {
    "Expecting value": "Invalid value.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Illegal trailing comma before end of object": "Missing a name for object member.",
    "Illegal trailing comma before end of array": "Invalid value.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
    "Invalid control character at": "Invalid encoding in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string.",
    "Extra data": "The document root must not be followed by other values.",
}
_EMPTY: Final = "The document is empty"
_TOO_LARGE_NUMBER: Final = "Number too big to be stored in double."
_TOO_DEEP: Final = "Terminate parsing due to Handler error."


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the object that a request's body holds.

    Raises:
        StatusError: the body is empty, no JSON, or no object.
    """
    if not body:
        raise _parse_error(_EMPTY)
    text = body.decode("utf-8", "surrogateescape")
    try:
        document: Any = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"{_EMPTY}." if not text.strip() else _message(error)
        raise _parse_error(message, error.pos) from error
    except RecursionError as error:
        raise _parse_error(_TOO_DEEP, 0) from error
    except ValueError as error:  # an integer with more digits than Python converts
        raise _parse_error(_TOO_LARGE_NUMBER, 0) from error
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {as_text(document)} Is not object")
    return cast("dict[str, Any]", document)


def signature_name(document: dict[str, Any]) -> str:
    """Return the signature that a request asks for, empty for the default one.

    Raises:
        StatusError: the name is not a string.
    """
    name: Any = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid_argument(
            f"JSON Value: {as_text(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def _parse_error(message: str, offset: int | None = None) -> StatusError:
    where = "" if offset is None else f" at offset: {offset}"
    return invalid_argument(f"JSON Parse error: {message}{where}")


def _message(error: json.JSONDecodeError) -> str:
    if error.msg == "Expecting ',' delimiter":
        closing, kind = ("}", "an object member") if _inside_object(error.doc, error.pos) else ("]", "an array element")
        return f"Missing a comma or {closing} after {kind}."
    return _MESSAGES.get(error.msg, "Unspecific syntax error.")


def _inside_object(text: str, position: int) -> bool:
    """Return whether the innermost bracket that is open at a position is an object's."""
    stack: list[str] = []
    quoted = escaped = False
    for character in text[:position]:
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = character == "\\", character != '"'
        elif character == '"':
            quoted = True
        elif character in "{[":
            stack.append(character)
        elif character in "}]" and stack:
            stack.pop()
    return bool(stack) and stack[-1] == "{"
