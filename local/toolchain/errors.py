"""What goes wrong with the toolchain, in words for the person who runs the command."""

from __future__ import annotations


class ToolchainError(RuntimeError):
    """A tool could not be installed; the message says which, why, and what the compiler or installer said last."""


class PreflightError(ToolchainError):
    """The machine lacks something; the message names every problem with its remedy. Nothing has been changed."""
