"""Reads tensors out of JSON requests, with TensorFlow Serving's rules and its words for what does not fit.

A request has its tensors either in rows (`instances`, one entry per example) or in columns (`inputs`, one entry per
named input). Numbers are checked against the signature's types; strings may come as `{"b64": "..."}`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np

from local.modelserver.json_values import TensorType, as_text, element, format_error, is_base64, json_type
from local.modelserver.status import StatusError, invalid_argument

Format = Literal["row", "columnar"]


def tensors_from_request(
    document: Mapping[str, Any], inputs: Mapping[str, TensorType]
) -> tuple[dict[str, Any], Format]:
    """Return the arrays of a predict request, and in which form they came.

    Raises:
        StatusError: the request holds no tensors, or they do not fit the signature's inputs.
    """
    if "instances" in document and "inputs" in document:
        raise format_error(
            document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        )
    if "instances" in document:
        instances = document["instances"]
        if not isinstance(instances, list):
            raise format_error(document, "Excepting 'instances' to be an list/array")
        if not instances:
            raise format_error(document, "No values in 'instances' array")
        return _from_rows(cast("list[Any]", instances), inputs), "row"
    if "inputs" in document:
        return _from_columns(document["inputs"], inputs), "columnar"
    raise invalid_argument("Missing 'inputs' or 'instances' key")


def check_examples(document: Mapping[str, Any]) -> None:
    """Check the form of a classify or regress request.

    Raises:
        StatusError: it has no list of objects as `examples`.
    """
    if "examples" not in document:
        raise format_error(document, "When method is classify, key 'examples' is expected and was not found")
    examples = document["examples"]
    if not isinstance(examples, list):
        raise format_error(document, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise format_error(document, "'examples' value is an empty array")
    for example in cast("list[Any]", examples):
        if not isinstance(example, dict):
            raise invalid_argument(f"Example must be JSON object but got JSON {json_type(example)}")


def _from_rows(instances: list[Any], inputs: Mapping[str, TensorType]) -> dict[str, Any]:
    named = _is_named(instances[0])
    if not isinstance(instances[0], dict) and len(inputs) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    columns = {name: _Column(type_) for name, type_ in inputs.items()}
    for position, item in enumerate(instances):
        if named:
            _add_named_row(item, position, columns)
        else:
            _add_plain_row(item, position, next(iter(columns.values())))
    return {name: column.array(len(instances)) for name, column in columns.items()}


def _add_named_row(item: Any, position: int, columns: dict[str, _Column]) -> None:
    if not _is_named(item):
        raise invalid_argument(f"Expecting object but got list at item {position} of input list")
    row = cast("dict[str, Any]", item)
    for name, value in row.items():
        try:
            if name not in columns:
                raise invalid_argument(f"JSON object: does not have named input: {name}")
            columns[name].add(value)
        except StatusError as error:
            raise invalid_argument(
                f"Failed to process element: {position} key: {name} of 'instances' list. Error: {error}"
            ) from error
    if row.keys() != columns.keys():
        raise invalid_argument(
            f"Failed to process element: {position} of 'instances' list. JSON object: {as_text(row)} must only have "
            f"keys: {','.join(sorted(columns))}"
        )


def _add_plain_row(item: Any, position: int, column: _Column) -> None:
    if _is_named(item):
        raise invalid_argument(f"Expecting value/list but got object at item {position} of input list")
    try:
        column.add(item)
    except StatusError as error:
        raise invalid_argument(f"Failed to process element: {position} of 'instances' list. Error: {error}") from error


def _from_columns(value: Any, inputs: Mapping[str, TensorType]) -> dict[str, Any]:
    if not _is_named(value):
        if len(inputs) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        name, type_ = next(iter(inputs.items()))
        return {name: _whole_tensor(value, type_)}
    columns: dict[str, Any] = {}
    for name, type_ in inputs.items():
        if name not in value:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
        columns[name] = _whole_tensor(value[name], type_)
    return columns


def _whole_tensor(value: Any, type_: TensorType) -> Any:
    shape = dense_shape(value)
    values: list[Any] = []
    _fill(value, 0, shape, type_, values)
    return _array(values, shape, type_)


class _Column:
    """Collects one input's values over the rows; all rows must have the first row's shape."""

    def __init__(self, type_: TensorType) -> None:
        self._type = type_
        self._shape: tuple[int, ...] | None = None
        self._values: list[Any] = []

    def add(self, value: Any) -> None:
        shape = dense_shape(value)
        before = len(self._values)
        _fill(value, 0, shape, self._type, self._values)
        size = len(self._values) - before
        if self._shape is None:
            self._shape = shape
        elif size != math.prod(self._shape):
            raise invalid_argument(f"Expecting tensor size: {math.prod(self._shape)} but got: {size}")
        elif shape != self._shape:
            raise invalid_argument(f"Expecting shape {_shape_text(self._shape)} but got: {_shape_text(shape)}")

    def array(self, rows: int) -> Any:
        return _array(self._values, (rows, *(self._shape or ())), self._type)


def _array(values: list[Any], shape: tuple[int, ...], type_: TensorType) -> Any:
    array = np.empty(len(values), dtype=type_.numpy_type)
    array[:] = values
    try:
        return array.reshape(shape)
    except ValueError as error:  # more dimensions than an array can have
        raise invalid_argument(str(error)) from error


def dense_shape(value: Any) -> tuple[int, ...]:
    """Return the shape that a value has if every list is as long as the first one of its level."""
    shape: list[int] = []
    while isinstance(value, list):
        items = cast("list[Any]", value)
        shape.append(len(items))
        if not items:
            break
        value = items[0]
    return tuple(shape)


def _fill(value: Any, level: int, shape: tuple[int, ...], type_: TensorType, values: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid_argument(
                f"JSON Value: {as_text(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        values.append(element(value, type_))
        return
    items = cast("list[Any]", value)
    if level >= len(shape):
        raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(items) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(items)} at level: {level} expected size: {shape[level]}"
        )
    for item in items:
        _fill(item, level + 1, shape, type_, values)


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(cast("dict[str, Any]", value))


def _shape_text(shape: tuple[int, ...]) -> str:
    return f"[{','.join(str(size) for size in shape)}]"
