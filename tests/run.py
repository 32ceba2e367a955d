"""`make test` and `make check`: every stage in turn, one summary at the end, exit code 1 if any stage failed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_BIN = Path(sys.prefix) / "bin"


@dataclass(frozen=True)
class Stage:
    """One command and the part of the proof that it gives."""

    name: str
    command: tuple[str, ...]
    fast: bool = True
    """Part of `make check`."""


def _tool(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(_BIN / name), *arguments)


_NOT_E2E = ("-m", "not e2e and not slow")

STAGES = (
    Stage("lint", _tool("ruff", "check", ".")),
    Stage("format", _tool("ruff", "format", "--check", ".")),
    Stage("types", _tool("pyright", "--warnings")),
    Stage("architecture", _tool("lint-imports")),
    Stage("fast tests", _tool("pytest", "-q", *_NOT_E2E)),
    Stage("slow tests", _tool("pytest", "-q", "-m", "slow and not e2e"), fast=False),
    Stage("end to end", _tool("pytest", "-v", "-m", "e2e", "--durations=15"), fast=False),
)


def main(selection: str) -> int:
    """Run the stages of `selection` (`all` or `check`) and return the exit code.

    Raises:
        SystemExit: the selection is unknown.
    """
    if selection not in {"all", "check"}:
        raise SystemExit(f"selection {selection!r}: allowed are all, check")
    environment = {**os.environ, "PATH": os.pathsep.join([str(_BIN), os.environ.get("PATH", "")])}
    results: list[tuple[str, int, float]] = []
    for stage in STAGES:
        if selection == "check" and not stage.fast:
            continue
        shown = " ".join([Path(stage.command[0]).name, *stage.command[1:]])
        print(f"\n== {stage.name}: {shown}", flush=True)
        started = time.monotonic()
        code = subprocess.run(stage.command, cwd=_ROOT, env=environment, check=False).returncode
        results.append((stage.name, code, time.monotonic() - started))
    return _summary(results)


def _summary(results: list[tuple[str, int, float]]) -> int:
    print("\n== summary")
    for name, code, seconds in results:
        print(f"  {'ok    ' if code == 0 else 'FAILED'} {seconds:7.1f} s  {name}")
    failed = sum(code != 0 for _, code, _ in results)
    print(f"stages: {len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "all"))
