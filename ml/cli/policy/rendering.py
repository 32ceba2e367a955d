"""What a stack would declare: its program runs in a process of its own, which may import the infrastructure."""

from __future__ import annotations

import subprocess
import sys
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
    return sources.from_lines(lines(stack, project))


def lines(stack: str, project: Path = PROJECT) -> str:
    """Return every resource and component of a stack, each as a line of JSON.

    Raises:
        UserError: there is no such stack, or its program fails.
    """
    if not (project / f"Pulumi.{stack}.yaml").is_file():
        known = ", ".join(sorted(file.name.split(".")[1] for file in project.glob("Pulumi.*.yaml")))
        raise UserError(f"there is no stack `{stack}`", f"take one of: {known}")
    command = [sys.executable, "-m", "policies.render", stack, str(project)]
    try:
        done = subprocess.run(
            command, cwd=project, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        problem = f"the program of stack `{stack}` did not end within {_TIMEOUT_SECONDS:g} s"
        raise UserError(problem, "see what keeps this machine busy, and try again") from None
    if done.returncode != 0:
        tail = "\n".join(done.stderr.strip().splitlines()[-_SHOWN_LINES:])
        raise UserError(f"the program of stack `{stack}` fails:\n{tail}", "repair the program or its configuration")
    return done.stdout
