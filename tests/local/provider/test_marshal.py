"""The engine's structs and our values. What the engine really sends is the part of test_engine_*."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from local.provider.marshal import decode, encode
from local.provider.values import UNKNOWN, Secret

_SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.just(UNKNOWN)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4) | st.builds(Secret, inner)
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.text(), _VALUES, max_size=5))
def test_values_survive_when_encoded_and_decoded(values: dict[str, Any]) -> None:
    assert decode(encode(values)) == values


def test_integral_numbers_become_integers_when_decoded() -> None:
    struct = struct_pb2.Struct()
    struct.update({"replicas": 3.0, "ratio": 0.5})

    decoded = decode(struct)

    assert decoded == {"replicas": 3, "ratio": 0.5}
    assert isinstance(decoded["replicas"], int)


def test_numbers_stay_floats_when_too_large_to_be_exact() -> None:
    struct = struct_pb2.Struct()
    struct.update({"huge": 2.0**60})

    assert isinstance(decode(struct)["huge"], float)


def test_assets_are_refused_with_their_place_when_decoded() -> None:
    struct = struct_pb2.Struct()
    struct.update({"data": {"file": {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17"}}})

    with pytest.raises(ValueError, match=r"data\.file: assets"):
        decode(struct)


def test_foreign_types_are_refused_when_encoded() -> None:
    with pytest.raises(TypeError, match="cannot be a set"):
        encode({"a": {1}})
