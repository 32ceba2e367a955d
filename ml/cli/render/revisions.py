"""A stack as an earlier commit declares it: that commit's files, in a folder of their own."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from ml.cli.errors import UserError
from ml.cli.policy import rendering
from ml.cli.render.graph import Rendered, read

_TIMEOUT_SECONDS: Final = 30.0


def read_at(revision: str, stack: str, project: Path = rendering.PROJECT) -> Rendered:
    """Run the program of a stack as it was at a commit.

    Raises:
        UserError: there is no such commit, or the stack or its program was not there or failed.
    """
    commit = _git(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"], project)
    if not commit:
        raise UserError(f"there is no commit `{revision}`", "name one as git does, such as HEAD~1 or a branch")
    archive = _git(["archive", "--format=tar", commit.decode().strip()], project)
    with tempfile.TemporaryDirectory(prefix="mlp-render-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
        return read(stack, Path(folder), title=f"{stack} at {revision}")


def _git(arguments: list[str], project: Path) -> bytes:
    """Return what git prints; nothing if it fails."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=project, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except FileNotFoundError:
        raise UserError("git is not installed", "install it, or compare with another stack: --diff STACK") from None
    return done.stdout if done.returncode == 0 else b""
