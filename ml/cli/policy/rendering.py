"""What a stack would declare: its program runs in a process of its own, which may import the infrastructure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ml.cli.errors import UserError
from policies import sources
from policies._model import Resource

PROJECT: Final = Path(__file__).resolve().parents[3]
_TIMEOUT_SECONDS: Final = 120.0
_SHOWN_LINES: Final = 12


def render(stack: str, project: Path = PROJECT) -> list[Resource]:
    """Return every resource of a stack.

    Raises:
        UserError: there is no such stack, or its program fails.
    """
    with started(stack, project) as rendering:
        return rendering.resources()


def lines(stack: str, project: Path = PROJECT) -> str:
    """Return every resource and component of a stack, each as a line of JSON.

    Raises:
        UserError: there is no such stack, or its program fails.
    """
    with started(stack, project) as rendering:
        return rendering.lines()


class Rendering:
    """The program of a stack while it runs; what judges its resources can be read meanwhile."""

    def __init__(self, stack: str, process: subprocess.Popen[str]) -> None:
        self._stack = stack
        self.process = process

    def resources(self) -> list[Resource]:
        """Wait for the program's end and return every resource.

        Raises:
            UserError: it fails, or does not end in time.
        """
        return sources.from_lines(self.lines())

    def lines(self) -> str:
        """Wait for the program's end and return every resource and component, each as a line of JSON.

        Raises:
            UserError: it fails, or does not end in time.
        """
        try:
            text, errors = self.process.communicate(timeout=_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            raise UserError(
                f"the program of stack `{self._stack}` does not end within {_TIMEOUT_SECONDS:.0f} s",
                "look for what it waits for: a preview reads nothing from a cluster",
            ) from None
        if self.process.returncode != 0:
            tail = "\n".join(errors.strip().splitlines()[-_SHOWN_LINES:])
            message = f"the program of stack `{self._stack}` fails:\n{tail}"
            raise UserError(message, "repair the program or its configuration")
        return text


@contextmanager
def started(stack: str, project: Path = PROJECT) -> Generator[Rendering]:
    """Start the program of a stack; it does not outlive the block.

    Raises:
        UserError: there is no such stack.
    """
    if not (project / f"Pulumi.{stack}.yaml").is_file():
        known = ", ".join(sorted(file.name.split(".")[1] for file in project.glob("Pulumi.*.yaml")))
        raise UserError(f"there is no stack `{stack}`", f"take one of: {known}")
    command = [sys.executable, "-m", "policies.render", stack, str(project)]
    # Byte code is kept even where the machine forbids it: compiling the program each time takes longer than running it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Rendering(stack, process)
        finally:
            process.kill()
