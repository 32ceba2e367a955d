"""Where the embedded platform keeps its files: a cache that outlives it and a state folder that `down` removes."""

from __future__ import annotations

import os
import re
from pathlib import Path

DEFAULT_INSTANCE = "local"
_INSTANCE_PATTERN = re.compile(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?")


def repo_root() -> Path:
    """Return the folder that holds Pulumi.yaml."""
    return Path(__file__).resolve().parent.parent


def instance_name() -> str:
    """Return the name of the instance that this process acts on (environment variable MLP_INSTANCE).

    Raises:
        ValueError: the name is not 1 to 20 lower-case letters, digits and hyphens that starts with a letter.
    """
    name = os.environ.get("MLP_INSTANCE", DEFAULT_INSTANCE)
    if not _INSTANCE_PATTERN.fullmatch(name):
        raise ValueError(
            f"MLP_INSTANCE={name!r}: allowed are 1 to 20 lower-case letters, digits and hyphens, first a letter"
        )
    return name


def cache_dir() -> Path:
    """Return the folder of things that are expensive to make and safe to share: toolchain and images."""
    override = os.environ.get("MLP_CACHE_DIR")
    if override:
        return Path(override)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mlplatform"


def state_dir(instance: str) -> Path:
    """Return the folder that holds everything one instance owns."""
    override = os.environ.get("MLP_STATE_DIR")
    base = (
        Path(override)
        if override
        else Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local" / "state")) / "mlplatform"
    )
    return base / instance
