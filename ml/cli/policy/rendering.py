"""What a stack would declare: its program runs in a process of its own, which may import the infrastructure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from ml.cli.errors import UserError
from policies import sources
from policies._model import Resource

_PROJECT: Final = Path(__file__).resolve().parents[3]
_TIMEOUT_SECONDS: Final = 60.0
_SHOWN_LINES: Final = 12


def render(stack: str, project: Path = _PROJECT) -> list[Resource]:
    """Return every resource of a stack.

    Raises:
        UserError: there is no such stack, or its program fails.
    """
    if not (project / f"Pulumi.{stack}.yaml").is_file():
        known = ", ".join(sorted(file.name.split(".")[1] for file in project.glob("Pulumi.*.yaml")))
        raise UserError(f"there is no stack `{stack}`", f"take one of: {known}")
    command = [sys.executable, "-m", "policies.render", stack, str(project)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
    if done.returncode != 0:
        tail = "\n".join(done.stderr.strip().splitlines()[-_SHOWN_LINES:])
        raise UserError(f"the program of stack `{stack}` fails:\n{tail}", "repair the program or its configuration")
    return sources.from_lines(done.stdout)
