"""Compiles each image's requirements.lock: exact versions with hashes, the same versions that the tests run with.

An image made from another one locks only what that one lacks.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from local.images.catalog import read_containerfiles
from local.images.errors import ImageError
from local.progress import Progress

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
_NEVER = "sys_platform == 'never'"
_LEFT_OUT = {
    "tensorflow": "tensorflow-cpu provides its modules",
    "libclang": "80 MB that TensorFlow names and does not use",
}


def locked_packages(lock: str) -> list[str]:
    """Return the names of the packages that a lock file pins."""
    return _PINNED.findall(lock)


def compile_all(root: Path, progress: Progress) -> list[Path]:
    """Write every image's lock file, parents before children, and return them.

    Raises:
        ImageError: no set of versions fits, or `uv` failed otherwise.
    """
    written: list[Path] = []
    locks: dict[str, str] = {}
    for name, (_, containerfile) in read_containerfiles(root).items():
        requirements = root / "images" / name / "requirements.in"
        inherited = {package for parent in containerfile.parents.values() for package in _packages(locks, parent)}
        locks[name] = ""
        if requirements.exists():
            progress(f"locking {requirements.relative_to(root)}")
            _compile(root, requirements, sorted(inherited))
            locks[name] = requirements.with_suffix(".lock").read_text(encoding="utf-8")
            written.append(requirements.with_suffix(".lock"))
    return written


def _packages(locks: dict[str, str], name: str) -> list[str]:
    return locked_packages(locks.get(name, ""))


def _compile(root: Path, requirements: Path, inherited: list[str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as overrides:
        overrides.write("".join(f"{package}; {_NEVER}\n" for package in _LEFT_OUT))
        overrides.flush()
        command = [
            *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", str(requirements)),
            *("--output-file", str(requirements.with_suffix(".lock"))),
            *("--constraints", str(root / "requirements" / "dev.lock"), "--overrides", overrides.name),
            *("--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate"),
            *(f"--no-emit-package={package}" for package in inherited),
        ]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"{requirements.relative_to(root)} cannot be locked:\n{done.stderr.strip()}")
