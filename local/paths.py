"""Where the embedded platform keeps its files: a cache that outlives it and a state folder that `down` removes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

DEFAULT_INSTANCE = "local"
PRIVATE_FOLDERS: Final = ("/run", "/var/run", "/var/log")
"""Folders of which every node has its own, so that it does not see what lies in the machine's."""
_INSTANCE_PATTERN = re.compile(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?")
# Others mean something in PATH, in addresses like file://..., in options of mounts, or to the tools that build images.
_FOLDER_PATTERN = re.compile(r"/[\w ./@=~-]*")


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
    """Return the folder of things that are expensive to make and safe to share: toolchain and images.

    Raises:
        ValueError: it is no place for them; the message names the variable.
    """
    return _folder("MLP_CACHE_DIR", "XDG_CACHE_HOME", ".cache")


def state_dir(instance: str, *, checked: bool = True) -> Path:
    """Return the folder that holds everything one instance owns.

    Args:
        instance: its name.
        checked: whether an instance may come up there; one that is to end may lie where older versions let it.

    Raises:
        ValueError: it is no place for it; the message names the variable.
    """
    return _folder("MLP_STATE_DIR", "XDG_STATE_HOME", ".local/state", _checked if checked else _as_it_is) / instance


def _checked(variable: str, text: str) -> Path:
    if not _FOLDER_PATTERN.fullmatch(text):
        raise ValueError(f"{variable}={text!r}: allowed is an absolute path of letters, digits, spaces and . _ - @ = ~")
    folder = Path(text)
    if any(path.is_relative_to(private) for path in (folder, folder.resolve()) for private in PRIVATE_FOLDERS):
        raise ValueError(f"{variable}={text!r}: must not lie below /run or /var/log, of which every node has its own")
    return folder


def _folder(ours: str, of_all_programs: str, below_home: str, read: Callable[[str, str], Path] = _checked) -> Path:
    if os.environ.get(ours):
        return read(ours, os.environ[ours])
    if os.environ.get(of_all_programs):
        return read(of_all_programs, os.environ[of_all_programs]) / "mlplatform"
    return read("HOME", str(Path.home())) / below_home / "mlplatform"


def _as_it_is(_variable: str, text: str) -> Path:
    return Path(text).absolute()
