"""Moves a version of the platform's own images from one stack to the next: one line of one file, to be reviewed."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ml.cli.errors import UserError
from ml.cli.policy import rendering

ORDER: Final = ("dev", "staging", "prod")
"""Each stack takes what the one before it has run."""
_LINE: Final = re.compile(r'^(  mlplatform:version: )"?([^"\s#]+)"?[ ]*$', re.MULTILINE)
_VERSION: Final = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?")
_GIT_SECONDS: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """A version that a stack is about to get."""

    stack: str
    before: str
    after: str
    file: Path

    @property
    def branch(self) -> str:
        """Name of the branch that a promotion is proposed on."""
        return f"promote/{self.stack}-{self.after}"

    @property
    def message(self) -> str:
        """First line of its commit."""
        return f"Promote {self.after} to {self.stack}, which runs {self.before}"


def plan(stack: str, version: str | None, project: Path = rendering.PROJECT) -> Promotion:
    """Return what a promotion changes: to `version`, or to that of the stack before.

    Raises:
        UserError: the stack takes none, or it is not clear which, or it has it already.
    """
    if stack not in ORDER:
        raise UserError(f"`{stack}` takes no promotions", f"take one of: {', '.join(ORDER)}")
    place = ORDER.index(stack)
    if version is None and place == 0:
        raise UserError(f"`{stack}` is the first stack", "say which version: mlp promote dev --version 1.2.3")
    after = version or _read(ORDER[place - 1], project)
    if not _VERSION.fullmatch(after):
        raise UserError(f"`{after}` is no version", "write it as 1.2.3")
    before = _read(stack, project)
    if before == after:
        raise UserError(f"`{stack}` has version {after} already", "promote to the stack before it first")
    return Promotion(stack=stack, before=before, after=after, file=_file(stack, project))


def write(promotion: Promotion) -> None:
    """Change the one line."""
    text = promotion.file.read_text(encoding="utf-8")
    changed = _LINE.sub(lambda match: f'{match[1]}"{promotion.after}"', text)
    promotion.file.write_text(changed, encoding="utf-8")


def commit(promotion: Promotion, project: Path = rendering.PROJECT) -> None:
    """Commit the change, and nothing else, on a branch of its own.

    Raises:
        UserError: git refuses; its words say why.
    """
    _git(["switch", "--quiet", "--create", promotion.branch], project)
    write(promotion)
    _git(["commit", "--quiet", "--message", promotion.message, "--only", "--", promotion.file.name], project)


def _read(stack: str, project: Path) -> str:
    found = _LINE.findall(_file(stack, project).read_text(encoding="utf-8"))
    if len(found) != 1:
        raise UserError(
            f"Pulumi.{stack}.yaml does not say one version", 'add a line `  mlplatform:version: "1.2.3"` to its config'
        )
    return str(found[0][1])


def _file(stack: str, project: Path) -> Path:
    return project / f"Pulumi.{stack}.yaml"


def _git(arguments: list[str], project: Path) -> None:
    done = subprocess.run(
        ["git", *arguments], cwd=project, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
    )
    if done.returncode != 0:
        raise UserError(
            f"git {arguments[0]} fails: {done.stderr.strip() or done.stdout.strip()}", "see to it, then promote again"
        )
