"""Reading JSON from outside, whose shape nobody promises."""

from __future__ import annotations

from typing import cast

from ml.kubernetes import JsonObject


def mapping(value: object) -> JsonObject:
    """Return an object as it is; an empty one for anything else."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def objects(value: object) -> list[JsonObject]:
    """Return the entries of a list, each as an object; none for anything else."""
    return [mapping(item) for item in cast("list[object]", value)] if isinstance(value, list) else []
