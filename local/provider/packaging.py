"""Writes the plugin folder by which the engine finds the stand-in."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Final

EXECUTABLE: Final = "pulumi-resource-kubernetes"
_MARK: Final = "# mlplatform: stand-in for the Pulumi Kubernetes provider"


def install(directory: Path) -> Path:
    """Write the plugin's executable into `directory` and return its path.

    It runs this interpreter with this source tree, whatever the working folder and PYTHONPATH of the engine are.

    Raises:
        FileExistsError: the folder holds another plugin of that name; it is not overwritten.
    """
    executable = directory / EXECUTABLE
    if executable.exists() and _MARK not in executable.read_bytes()[:512].decode(errors="replace"):
        raise FileExistsError(f"{executable} is another plugin; choose another folder")
    directory.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).resolve().parent.parent.parent
    script = (
        f"#!/bin/sh\n{_MARK}\n"
        f"export PYTHONPATH={shlex.quote(str(root))}\n"
        f'exec {shlex.quote(sys.executable)} -P -m local.provider serve "$@"\n'
    )
    temporary = executable.with_name(f".{EXECUTABLE}.tmp")
    temporary.write_text(script, encoding="utf-8")
    temporary.chmod(0o755)
    temporary.replace(executable)
    return executable
