"""Brings a live object into the shape of the inputs that made it, so that what is left over is drift."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final, cast

from local.provider import objects
from local.provider.equality import is_empty, same
from local.provider.managed_fields import Fields, counterpart
from local.provider.paths import Path
from local.provider.values import Object, as_list, as_object

_TOOL_ANNOTATIONS: Final = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")
"""Written by controllers and tools for themselves."""


def inputs_from_live(live: Object, inputs: Object) -> Object:
    """Return `inputs` with every value that differs in `live` replaced by the live one.

    Fields that only the live object has (defaults, other managers' fields) are left out; values that mean the same
    keep the spelling of `inputs`; what is gone from the live object is gone from the result.
    """
    live = {**live, "apiVersion": inputs.get("apiVersion")}
    if objects.is_secret(inputs) and "stringData" in inputs:
        # What was written as `stringData` is read as `data`.
        live_data = as_object(live.get("data"))
        texts = as_object(inputs["stringData"])
        live["stringData"] = {key: _text(live_data[key]) for key in texts if key in live_data}
    return as_object(_pruned(live, inputs, Fields.of(live), ()))


def imported_inputs(live: Object) -> Object:
    """Return the inputs of an object that no program has made: all of it but what the server alone writes."""
    metadata = {k: v for k, v in as_object(live.get("metadata")).items() if k not in objects.SERVER_METADATA}
    if "annotations" in metadata:
        annotations = as_object(metadata["annotations"])
        metadata["annotations"] = {k: v for k, v in annotations.items() if k not in _TOOL_ANNOTATIONS}
    return {**{key: value for key, value in live.items() if key != "status"}, "metadata": metadata}


def _pruned(live: Any, inputs: Any, fields: Fields, path: Path) -> Any:
    if same(live, inputs, path):
        return inputs
    if fields.is_whole and not fields.is_ours:
        return live  # somebody replaced it; in a value that is still ours the server has only added defaults
    if isinstance(live, dict) and isinstance(inputs, dict):
        return _pruned_map(as_object(live), as_object(inputs), fields, path)
    if isinstance(live, list) and isinstance(inputs, list):
        return _pruned_list(as_list(live), as_list(inputs), fields, path)
    return cast("Any", live)


def _pruned_map(live: Object, inputs: Object, fields: Fields, path: Path) -> Object:
    pruned: Object = {}
    for key, value in inputs.items():
        if key in live:
            pruned[key] = _pruned(live[key], value, _below(fields, key), (*path, key))
        elif is_empty(value) or value in (False, 0, ""):
            pruned[key] = value  # the server leaves out what is empty
    return pruned


def _pruned_list(live: list[Any], inputs: list[Any], fields: Fields, path: Path) -> list[Any]:
    if fields.merge_keys:
        pairs = [(element, counterpart(element, live, fields.merge_keys)) for element in inputs]
        return [
            _pruned(found, element, fields.element(found), (*path, index))
            for index, (element, found) in enumerate(pairs)
            if found is not None
        ]
    if fields.is_set:
        return [element for element in inputs if element in live]
    if len(live) != len(inputs):
        return live
    return [
        _pruned(one, other, _below(fields, index), (*path, index))
        for index, (one, other) in enumerate(zip(live, inputs, strict=True))
    ]


def _below(fields: Fields, segment: str | int) -> Fields:
    if fields.is_whole or isinstance(segment, int):
        return fields
    return fields.field(segment)


def _text(encoded: Any) -> str:
    try:
        return base64.b64decode(str(encoded)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return str(encoded)
