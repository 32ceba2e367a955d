"""Resources of a cloud in a stack's graph, found by what they are and what they are called."""

from __future__ import annotations

from typing import Any, Final

from tests.support.recording_monitor import Graph, Recorded, reveal

ACCOUNT: Final = "111122223333"
"""Of the committed stacks."""


def named(graph: Graph, token: str, name: str) -> Recorded:
    """Return the one resource of this type and logical name."""
    (found,) = [item for item in graph.of_type(token) if item.name == name]
    return found


def inputs(graph: Graph, token: str, name: str) -> dict[str, Any]:
    """Return what was declared of it, with secrets opened."""
    return reveal(dict(named(graph, token, name).inputs))
