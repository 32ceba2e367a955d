"""Writes tensors as JSON responses, in rows or columns, with numbers printed as TensorFlow Serving prints them."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from local.modelserver.json_tensor import Format
from local.modelserver.status import StatusError, invalid_argument

_BYTES_SUFFIX: Final = "_bytes"
_SHORT_FLOAT: Final = "%.6g"


def response_body(outputs: Mapping[str, Any], form: Format) -> bytes:
    """Return the body of a predict response.

    Raises:
        StatusError: an output cannot be told apart by rows, or has a type that JSON cannot hold.
    """
    text = _rows(outputs) if form == "row" else _columns(outputs)
    return text.encode("utf-8", "surrogateescape")


def error_body(error: StatusError) -> bytes:
    """Return the body that tells a client what went wrong."""
    text = json.dumps({"error": error.message}, indent=4, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")


def _rows(outputs: Mapping[str, Any]) -> str:
    batch_size = _common_batch_size(outputs)
    named = len(outputs) > 1
    columns = [(name, array, _writer(name, array)) for name, array in outputs.items()]
    rows: list[str] = []
    for row in range(batch_size):
        fields = [
            (f'            "{name}": ' if named else "") + _nested(array[row], write) for name, array, write in columns
        ]
        rows.append("        {\n" + ",\n".join(fields) + "\n        }" if named else fields[0])
    separator, end = (",\n", "\n    ]") if named else (", ", "\n    ]")
    return '{\n    "predictions": [' + ("\n" if named else "") + separator.join(rows) + end + "\n}"


def _columns(outputs: Mapping[str, Any]) -> str:
    values = {name: _nested(array, _writer(name, array)) for name, array in outputs.items()}
    if len(values) == 1:
        return '{\n    "outputs": ' + next(iter(values.values())) + "\n}"
    fields = ",\n".join(f'        "{name}": {value}' for name, value in values.items())
    return '{\n    "outputs": {\n' + fields + "\n    }\n}"


def _common_batch_size(outputs: Mapping[str, Any]) -> int:
    batch_size = 0
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid_argument(f"Tensor name: {name} has no shape information ")
        if array.shape[0] < 1:
            raise invalid_argument(f"Tensor name: {name} has invalid batch size: {array.shape[0]}")
        if batch_size not in (0, array.shape[0]):
            raise invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: {array.shape[0]} expecting: {batch_size}"
            )
        batch_size = array.shape[0]
    return batch_size


def _nested(value: Any, write: Callable[[Any], str]) -> str:
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return write(value)
    return "[" + ", ".join(_nested(item, write) for item in value) + "]"


def _writer(name: str, array: Any) -> Callable[[Any], str]:
    kind = array.dtype.kind
    if kind in "OSU":
        return _write_bytes if name.endswith(_BYTES_SUFFIX) else _write_text
    if kind == "b":
        return lambda value: "true" if value else "false"
    if kind in "iu":
        return lambda value: str(int(value))
    if array.dtype in (np.float32, np.float64):
        digits = "%.9g" if array.dtype == np.float32 else "%.17g"
        return lambda value: decimal_text(value, digits)
    raise invalid_argument(f"Failed to write JSON value for tensor type: {array.dtype}")


def decimal_text(value: Any, exact_format: str) -> str:
    """Return a number with six digits where they are enough to read the same number again, else with all.

    A whole number keeps `.0`, so that readers see a decimal type.
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    text = _SHORT_FLOAT % value
    if type(value)(text) != value:
        text = exact_format % value
    return text if "." in text or "e" in text else f"{text}.0"


def _write_text(value: Any) -> str:
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
    return json.dumps(text, ensure_ascii=False)


def _write_bytes(value: Any) -> str:
    data = value if isinstance(value, bytes) else str(value).encode()
    return f'{{"b64": "{base64.b64encode(data).decode()}"}}'
