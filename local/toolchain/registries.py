"""Asks the package registries for something small, each through its own client and so with the user's settings."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from local.toolchain import gobuild
from local.toolchain.catalog import GoTool
from local.toolchain.errors import PreflightError

GO_MODULES: Final = "Go modules"
DEBIAN_PACKAGES: Final = "Debian packages"
PYTHON_PACKAGES: Final = "Python packages"

REMEDIES: Final = {
    GO_MODULES: "check the network and GOPROXY (`go env GOPROXY`)",
    DEBIAN_PACKAGES: "check the network and apt's sources (`apt-get update` shows which one fails)",
    PYTHON_PACKAGES: "check the network and pip's index (`python3 -m pip config list` and PIP_INDEX_URL name it)",
}
_ANSWER_SECONDS: Final = 60
_PIP_SECONDS: Final = 15
_PYTHON_PACKAGE: Final = "setuptools"
"""A package that every index has, since others are built with it."""


def unreachable(
    go_tools: Iterable[GoTool] = (), modules: Path = Path(), *, debian: bool = False, python: bool = False
) -> tuple[str, ...]:
    """Return the registries that give no answer, of those that are needed.

    Args:
        go_tools: tools that have to be built; none if no Go module is needed.
        modules: folder of the tools' Go modules.
        debian: whether Debian packages are needed.
        python: whether Python packages are needed.
    """
    silent: list[str] = []
    tool = next(iter(go_tools), None)
    if tool is not None and not gobuild.answers(modules / tool.folder, _ANSWER_SECONDS):
        silent.append(GO_MODULES)
    if debian and not _debian_answers():
        silent.append(DEBIAN_PACKAGES)
    if python and not _python_answers():
        silent.append(PYTHON_PACKAGES)
    return tuple(silent)


def require_for_images(find: Callable[..., tuple[str, ...]] = unreachable) -> None:
    """Return if everything answers that images are made from.

    Args:
        find: how to ask; replaced in tests.

    Raises:
        PreflightError: a registry gives no answer; the message names each with its remedy.
    """
    silent = find(debian=True, python=True)
    if silent:
        lines = [f"  - the registry of {name} does not answer\n    remedy: {REMEDIES[name]}" for name in silent]
        raise PreflightError("\n".join(["images cannot be made:", *lines]))


def _debian_answers() -> bool:
    """Return whether apt can read its package lists, into a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "partial").mkdir()
        options = ["-o", f"Dir::State::lists={folder}", "-o", "Acquire::Languages=none"]
        return _succeeds(["apt-get", *options, "update", "--error-on=any"])


def _python_answers() -> bool:
    """Return whether pip finds a package, of which nothing is downloaded."""
    patience = ["--retries=1", f"--timeout={_PIP_SECONDS}", "--no-cache-dir", "--disable-pip-version-check"]
    return _succeeds([sys.executable, "-m", "pip", "index", "versions", *patience, _PYTHON_PACKAGE])


def _succeeds(command: list[str]) -> bool:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_ANSWER_SECONDS,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
