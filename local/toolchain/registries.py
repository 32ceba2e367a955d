"""Asks the package registries for something small, each through its own client and so with the user's settings."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
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
) -> dict[str, str]:
    """Return the registries that give no answer, of those that are needed, with what their clients say.

    Args:
        go_tools: tools that have to be built; none if no Go module is needed.
        modules: folder of the tools' Go modules.
        debian: whether Debian packages are needed.
        python: whether Python packages are needed.
    """
    tool = next(iter(go_tools), None)
    said = {
        GO_MODULES: None if tool is None else gobuild.complaint(modules / tool.folder, _ANSWER_SECONDS),
        DEBIAN_PACKAGES: _complaint_of_apt() if debian else None,
        PYTHON_PACKAGES: _complaint_of_pip() if python else None,
    }
    return {name: complaint for name, complaint in said.items() if complaint is not None}


def problem(name: str, complaint: str) -> str:
    """Return the words for a registry that gives no answer, and what its client says."""
    return f"the registry of {name} does not answer" + (f": {complaint}" if complaint else "")


def require_for_images(find: Callable[..., Mapping[str, str]] = unreachable) -> None:
    """Return if everything answers that images are made from.

    Args:
        find: how to ask; replaced in tests.

    Raises:
        PreflightError: a registry gives no answer; the message names each with its remedy.
    """
    silent = find(debian=True, python=True)
    if silent:
        lines = [f"  - {problem(name, said)}\n    remedy: {REMEDIES[name]}" for name, said in silent.items()]
        raise PreflightError("\n".join(["images cannot be made:", *lines]))


def _complaint_of_apt() -> str | None:
    """Return what apt says if it cannot read its package lists, into a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "partial").mkdir()
        options = ["-o", f"Dir::State::lists={folder}", "-o", "Acquire::Languages=none"]
        return _complaint(["apt-get", *options, "update", "--error-on=any"])


def _complaint_of_pip() -> str | None:
    """Return what pip says if it does not find a package, of which nothing is downloaded."""
    patience = ["--retries=1", f"--timeout={_PIP_SECONDS}", "--no-cache-dir", "--disable-pip-version-check"]
    return _complaint([sys.executable, "-m", "pip", "index", "versions", *patience, _PYTHON_PACKAGE])


def _complaint(command: list[str]) -> str | None:
    """Return the last line of what a command says if it fails, else None."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_ANSWER_SECONDS,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError as error:
        return str(error)
    except subprocess.TimeoutExpired:
        return f"nothing within {_ANSWER_SECONDS} s"
    if done.returncode == 0:
        return None
    return next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "")
