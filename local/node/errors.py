"""What goes wrong with a node, in words for the person who started it."""

from __future__ import annotations


class NodeError(RuntimeError):
    """The node cannot do what was asked; the message says why and, where known, what to do."""
