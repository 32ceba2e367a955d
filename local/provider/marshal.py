"""Translates between the engine's protobuf structs and property values.

The marks are part of the engine's protocol: a fixed text stands for an unknown value, and an object with a fixed
signature key wraps a secret. Resource references, assets and output values are not negotiated and therefore refused.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import struct_pb2

from local.provider.values import UNKNOWN, Object, Secret, Unknown, as_list, as_object

_UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - names the mark, hides nothing
_MAX_EXACT_INTEGER: Final = 2.0**53
"""Structs carry doubles; beyond this an integral double may stand for several integers."""


def decode(struct: struct_pb2.Struct) -> Object:
    """Return the values of a struct.

    Raises:
        ValueError: a value is of a kind that a Kubernetes object cannot hold (asset, archive, reference).
    """
    return {key: _decode_value(value, key) for key, value in struct.fields.items()}


def encode(values: Object) -> struct_pb2.Struct:
    """Return a struct that holds `values`, marks included."""
    struct = struct_pb2.Struct()
    _fill(struct, values)
    return struct


def _decode_value(value: struct_pb2.Value, path: str) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value == _UNKNOWN_TEXT else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) <= _MAX_EXACT_INTEGER else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_decode_value(item, f"{path}[{i}]") for i, item in enumerate(value.list_value.values)]
    if kind == "struct_value":
        return _decode_struct(value.struct_value, path)
    return None


def _decode_struct(struct: struct_pb2.Struct, path: str) -> Any:
    if _SIGNATURE_KEY not in struct.fields:
        return {key: _decode_value(item, f"{path}.{key}") for key, item in struct.fields.items()}
    if struct.fields[_SIGNATURE_KEY].string_value != _SECRET_SIGNATURE:
        raise ValueError(f"{path}: assets, archives and resource references cannot be part of a Kubernetes object")
    return Secret(_decode_value(struct.fields["value"], path))


def _fill(struct: struct_pb2.Struct, values: Object) -> None:
    fields = struct.fields
    for key, item in values.items():
        _encode_value(fields[key], item)


def _encode_value(target: struct_pb2.Value, value: Any) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, Unknown):
        target.string_value = _UNKNOWN_TEXT
    elif isinstance(value, Secret):
        fields = target.struct_value.fields
        fields[_SIGNATURE_KEY].string_value = _SECRET_SIGNATURE
        _encode_value(fields["value"], value.value)
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, dict):
        target.struct_value.SetInParent()
        _fill(target.struct_value, as_object(value))
    elif isinstance(value, list):
        target.list_value.SetInParent()
        for item in as_list(value):
            _encode_value(target.list_value.values.add(), item)
    else:
        raise TypeError(f"a property value cannot be a {type(value).__name__}")
