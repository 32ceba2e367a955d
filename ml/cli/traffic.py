"""Reads what a split VirtualService says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ml.contracts import salt_index_of


def split_weights(split: Mapping[str, Any]) -> dict[str, float]:
    """Return the weight in percent by slot, in the split's order; empty if it has no such route."""
    routes = cast("list[dict[str, Any]]", split.get("spec", {}).get("http", []))
    weights = {
        str(entry["destination"].get("subset", "")): int(entry.get("weight", 0))
        for route in routes
        if salt_index_of(str(route.get("name", ""))) is not None
        for entry in cast("list[dict[str, Any]]", route.get("route", []))
    }
    total = sum(weights.values()) or 1
    return {slot: 100 * weight / total for slot, weight in weights.items()}
