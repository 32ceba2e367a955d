"""JSON in and out: every type a signature may have, and what does not fit it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.modelserver.json_document import parse_object
from local.modelserver.json_result import decimal_text, error_body, response_body
from local.modelserver.json_tensor import tensors_from_request
from local.modelserver.json_values import TensorType
from local.modelserver.status import StatusError, invalid_argument


def column(type_: str, values: Any) -> Any:
    tensors, form = tensors_from_request({"inputs": values}, {"x": TensorType(type_)})
    assert form == "columnar"
    return tensors["x"]


@pytest.mark.parametrize(
    ("type_", "values", "expected"),
    [
        ("float", [1, 2.5, 3e38], [1.0, 2.5, 3e38]),
        ("double", [1, 1e300], [1.0, 1e300]),
        ("int32", [-(2**31), 7], [-(2**31), 7]),
        ("int64", [-(2**63), 2**63 - 1], [-(2**63), 2**63 - 1]),
        ("uint8", [255, 0], [255, 0]),
        ("uint32", [2**32 - 1], [2**32 - 1]),
        ("uint64", [2**64 - 1], [2**64 - 1]),
        ("bool", [True, False], [True, False]),
        ("string", ["a", {"b64": "/w=="}], [b"a", b"\xff"]),
        ("int64", [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ("int64", 5, 5),
        ("string", [], []),
    ],
)
def test_values_become_a_tensor_when_they_fit_the_type(type_: str, values: Any, expected: Any) -> None:
    array = column(type_, values)
    if type_ == "float":
        assert array.dtype == np.float32
        assert np.allclose(array, np.array(expected, dtype=np.float32))
    else:
        assert array.tolist() == expected


@pytest.mark.parametrize(
    ("type_", "values", "message"),
    [
        ("float", ["1"], 'JSON Value: "1" Type: String is not of expected type: float'),
        ("float", [2**24 + 1], "Cannot convert JSON value: 16777217 to float without loss of precision."),
        ("float", [1e39], "to float without loss of precision."),
        ("int32", [1.0], "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        ("int32", [2**31], "is not of expected type: int32"),
        ("int64", [True], "JSON Value: true Type: True is not of expected type: int64"),
        ("uint32", [-1], "is not of expected type: uint32"),
        ("bool", [1], "JSON Value: 1 Type: Number is not of expected type: bool"),
        ("string", [None], "JSON Value: null Type: Null is not of expected type: string"),
        ("complex64", [1], "Conversion of JSON Value: 1 to type: complex64"),
        ("int64", [[1], 2], "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        ("int64", [1, [2]], "Encountered list at unexpected level: 1 expected < 1"),
        ("int64", [[1], [2, 3]], "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
        ("int64", [{"b64": "AA=="}], "Type: Object is not of expected type: int64"),
    ],
)
def test_values_are_refused_when_they_do_not_fit_the_type(type_: str, values: Any, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        column(type_, values)
    assert message in refused.value.message


def test_rows_are_refused_when_their_shapes_differ() -> None:
    types = {"x": TensorType("int64")}
    with pytest.raises(StatusError, match="Expecting tensor size: 2 but got: 1"):
        tensors_from_request({"instances": [[1, 2], [3]]}, types)
    with pytest.raises(StatusError, match=r"Expecting shape \[2,1\] but got: \[1,2\]"):
        tensors_from_request({"instances": [[[1], [2]], [[1, 2]]]}, types)


def test_rows_must_be_objects_when_there_are_several_inputs() -> None:
    types = {"x": TensorType("int64"), "y": TensorType("float")}
    tensors, form = tensors_from_request({"instances": [{"x": 1, "y": 2}, {"y": 4, "x": 3}]}, types)
    assert form == "row"
    assert (tensors["x"].tolist(), tensors["y"].tolist()) == ([1, 3], [2.0, 4.0])
    with pytest.raises(StatusError, match="expecting list of objects as multiple input tensors required"):
        tensors_from_request({"instances": [1]}, types)
    with pytest.raises(StatusError, match="must only have keys: x,y"):
        tensors_from_request({"instances": [{"x": 1}]}, types)
    with pytest.raises(StatusError, match="expecting an object as multiple input tensors required"):
        tensors_from_request({"inputs": [1]}, types)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(0.1), "0.1"),
        (np.float32(1 / 3), "0.333333343"),
        (np.float32(2), "2.0"),
        (np.float32(3e-5), "3e-05"),
        (np.float32(9e6), "9e+06"),
        (np.float32("nan"), "NaN"),
        (np.float32("inf"), "Infinity"),
        (np.float32("-inf"), "-Infinity"),
        (np.float32(0.2), "0.2"),
    ],
)
def test_numbers_are_printed_short_when_that_is_exact(value: np.float32, text: str) -> None:
    assert decimal_text(value, "%.9g") == text


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_printed_numbers_read_back_alike_when_they_are_finite(value: float) -> None:
    assert np.float32(decimal_text(np.float32(value), "%.9g")) == np.float32(value)


def test_response_is_by_row_or_column_as_the_request_was() -> None:
    outputs = {
        "n": np.array([1, 2]),
        "s": np.array([b"a\n", b"\xc3\xa4"], dtype=object),
        "raw_bytes": np.array([b"\xff", b""], dtype=object),
    }
    rows = json.loads(response_body(outputs, "row"))
    assert rows == {
        "predictions": [
            {"n": 1, "s": "a\n", "raw_bytes": {"b64": "/w=="}},
            {"n": 2, "s": "ä", "raw_bytes": {"b64": ""}},
        ]
    }
    columns = json.loads(response_body({"n": np.array([[1.5], [2.5]])}, "columnar"))
    assert columns == {"outputs": [[1.5], [2.5]]}
    assert json.loads(response_body({"n": np.array([True, False])}, "row")) == {"predictions": [True, False]}


def test_response_is_refused_when_rows_cannot_be_told_apart() -> None:
    with pytest.raises(StatusError, match="has no shape information"):
        response_body({"n": np.array(1)}, "row")
    with pytest.raises(StatusError, match="has inconsistent batch size: 3 expecting: 2"):
        response_body({"a": np.array([1, 2]), "b": np.array([1, 2, 3])}, "row")
    with pytest.raises(StatusError, match="Failed to write JSON value for tensor type: complex64"):
        response_body({"a": np.array([1j], dtype=np.complex64)}, "columnar")


def test_error_body_is_json_when_the_message_holds_any_character() -> None:
    body = error_body(invalid_argument('a "quote"\n\udcff'))
    assert json.loads(body)["error"].startswith('a "quote"\n')


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a"}', "Missing a colon after a name of object member."),
        (b'{"a": "\\x"}', "Invalid escape character in string."),
        (b'{"a": "\\u12x4"}', "Incorrect hex digit after \\u escape in string."),
        (b"{a: 1}", "Missing a name for object member."),
        (b'{"a": "tab\there"}', "Invalid encoding in string."),
        (b"   ", "The document is empty."),
        (b"{" + b'"a":{' * 100_000, "Terminate parsing due to Handler error."),
        (b'{"a": ' + b"9" * 5_000 + b"}", "Number too big to be stored in double."),
    ],
)
def test_parser_says_what_is_wrong_when_the_body_is_no_json(body: bytes, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        parse_object(body)
    assert refused.value.message.startswith(f"JSON Parse error: {message}")
