"""Converts JSON values to a tensor's elements, and says in TensorFlow Serving's words what cannot be converted."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import math
from typing import Any, Final, cast

import numpy as np

from local.modelserver.status import StatusError, invalid_argument

_BASE64_KEY: Final = "b64"
_INT32_RANGE: Final = (-(2**31), 2**31 - 1)
_INTEGER_RANGES: Final = {
    "int8": _INT32_RANGE,
    "int16": _INT32_RANGE,
    "uint8": _INT32_RANGE,
    "int32": _INT32_RANGE,
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
_FLOATS: Final = {"float": np.float32, "double": np.float64}


@dataclasses.dataclass(frozen=True)
class TensorType:
    """Element type of one input, named as TensorFlow names it (`string`, `float`, `int64`, ...)."""

    name: str

    @property
    def numpy_type(self) -> Any:
        """Return the type of the array's elements."""
        if self.name == "string":
            return object
        if self.name == "float":
            return np.float32
        return np.float64 if self.name == "double" else np.dtype(self.name)


def element(value: Any, type_: TensorType) -> Any:
    """Return a JSON value as an element of a tensor.

    Raises:
        StatusError: the value is of another type, or would lose precision.
    """
    if type_.name == "string":
        return _bytes(value)
    if type_.name in _FLOATS:
        return _decimal(value, type_)
    if type_.name == "bool":
        if isinstance(value, bool):
            return value
        raise type_error(value, type_)
    if type_.name in _INTEGER_RANGES:
        least, most = _INTEGER_RANGES[type_.name]
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return _narrowed(value, type_)
        raise type_error(value, type_)
    raise invalid_argument(f"Conversion of JSON Value: {as_text(value)} to type: {type_.name}")


def _narrowed(value: int, type_: TensorType) -> int:
    # TensorFlow reads the small integer types from 32-bit fields and keeps their low bits.
    return (
        int(np.array(value, dtype=np.int64).astype(type_.numpy_type))
        if type_.name in {"int8", "int16", "uint8"}
        else value
    )


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return text_bytes(value)
    if isinstance(value, dict):
        return _decode_base64(cast("dict[str, Any]", value))
    raise type_error(value, TensorType("string"))


def text_bytes(text: str) -> bytes:
    """Return a JSON string's bytes; bytes that were no UTF-8 in the request's body come through unchanged."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise invalid_argument("JSON Parse error: The surrogate pair in string is invalid. at offset: 0") from None


def _decode_base64(value: dict[str, Any]) -> bytes:
    if not is_base64(value):
        raise invalid_argument(f"JSON Value: {as_text(value)} not formatted correctly for base64 data")
    encoded = "".join(str(value[_BASE64_KEY]).split()).rstrip("=")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid_argument("Unable to base64 decode") from None


def _decimal(value: Any, type_: TensorType) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise type_error(value, type_)
    limits = np.finfo(_FLOATS[type_.name])
    too_precise = isinstance(value, int) and abs(value) > 2 ** (limits.nmant + 1) - 1
    too_large = math.isfinite(value) and not float(limits.min) <= value <= float(limits.max)
    if too_precise or too_large:
        raise invalid_argument(
            f"Cannot convert JSON value: {as_text(value)} to {type_.name} without loss of precision."
        )
    return float(value)


def is_base64(value: dict[str, Any]) -> bool:
    """Return whether an object stands for bytes: exactly `{"b64": "..."}`."""
    return value.keys() == {_BASE64_KEY} and isinstance(value[_BASE64_KEY], str)


def type_error(value: Any, type_: TensorType) -> StatusError:
    """Return the error for a value of another type than the signature's."""
    return invalid_argument(
        f"JSON Value: {as_text(value)} Type: {json_type(value)} is not of expected type: {type_.name}"
    )


def format_error(document: Any, message: str) -> StatusError:
    """Return the error for a document of another form than the API's."""
    return invalid_argument(f"JSON Value: {as_text(document)} {message}")


def json_type(value: Any) -> str:
    """Return the name of a JSON value's type, as the parser names it."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return "String"
    if isinstance(value, dict):
        return "Object"
    return "Array" if isinstance(value, list) else "Number"


def as_text(value: Any) -> str:
    """Return a JSON value as TensorFlow Serving prints it in messages."""
    return json.dumps(value, indent=4, ensure_ascii=False)
