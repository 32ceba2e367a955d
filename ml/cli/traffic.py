"""Reads what a split VirtualService says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ml.contracts import SPLIT_ROUTE


def split_weights(split: Mapping[str, Any]) -> dict[str, int]:
    """Return the weight in percent by slot, in the split's order; empty if it has no such route."""
    routes = cast("list[dict[str, Any]]", split.get("spec", {}).get("http", []))
    return {
        str(entry["destination"].get("subset", "")): int(entry.get("weight", 0))
        for route in routes
        if route.get("name") == SPLIT_ROUTE
        for entry in cast("list[dict[str, Any]]", route.get("route", []))
    }
