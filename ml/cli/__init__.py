"""`mlp`: every command that a person needs to look at and use a running platform."""

from ml.cli.app import main

__all__ = ["main"]
