"""`make test` and `make check`: every stage, one summary at the end, exit code 1 if any stage failed.

The stages come one after the other, but for those that are marked to run beside them: their output follows at the end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_ROOT = Path(__file__).resolve().parent.parent
_BIN = Path(sys.prefix) / "bin"
_MOST_WORKERS = 4
_WORKERS = min(_MOST_WORKERS, os.cpu_count() or 1)
SELECTIONS = ("all", "check")


@dataclass(frozen=True)
class Stage:
    """One command and the part of the proof that it gives."""

    name: str
    command: tuple[str, ...]
    selections: tuple[str, ...] = SELECTIONS
    beside: bool = False
    """Runs while the following stages do: it uses one processor only and disturbs nobody."""


@dataclass(frozen=True)
class Result:
    """How a stage ended."""

    name: str
    exit_code: int
    seconds: float


def _tool(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(_BIN / name), *arguments)


# By file: tests of one file share what is made once, such as a stack's graph or a database.
_PARALLEL = (f"--numprocesses={_WORKERS}", "--dist=loadfile")

STAGES = (
    Stage("types", _tool("pyright", "--warnings"), beside=True),
    Stage("lint", _tool("ruff", "check", ".")),
    Stage("format", _tool("ruff", "format", "--check", ".")),
    Stage("architecture", _tool("lint-imports")),
    Stage("fast tests", _tool("pytest", "-q", "--fast", "-p", "no:schemathesis", *_PARALLEL), selections=("check",)),
    Stage("tests", _tool("pytest", "-q", "-m", "not e2e", *_PARALLEL, "--durations=15"), selections=("all",)),
    Stage("end to end", _tool("pytest", "-v", "-m", "e2e", "--durations=15", "tests/e2e"), selections=("all",)),
)


def main(selection: str) -> int:
    """Run the stages of `selection` (`all` or `check`) and return the exit code.

    Raises:
        SystemExit: the selection is unknown.
    """
    if selection not in SELECTIONS:
        raise SystemExit(f"selection {selection!r}: allowed are {', '.join(SELECTIONS)}")
    started = time.monotonic()
    results = run([stage for stage in STAGES if selection in stage.selections])
    return _summary(results, time.monotonic() - started)


def run(stages: Sequence[Stage]) -> list[Result]:
    """Run stages and return how each ended, in their order; none outlives this call."""
    environment = _environment(os.environ)
    beside = [_Beside(stage, environment) for stage in stages if stage.beside]
    results: dict[str, Result] = {}
    try:
        for stage in stages:
            if not stage.beside:
                _announce(stage)
                started = time.monotonic()
                code = subprocess.run(stage.command, cwd=_ROOT, env=environment, check=False).returncode
                results[stage.name] = Result(stage.name, code, time.monotonic() - started)
        for other in beside:
            results[other.stage.name] = other.finish()
    finally:
        for other in beside:
            other.end()
    return [results[stage.name] for stage in stages]


class _Beside:
    """A stage that runs while others do; what it prints is kept until it is its turn to be shown."""

    def __init__(self, stage: Stage, environment: Mapping[str, str]) -> None:
        self.stage = stage
        self._started = time.monotonic()
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - `end` closes it
        self._process = subprocess.Popen(
            stage.command, cwd=_ROOT, env=environment, stdout=self._output, stderr=subprocess.STDOUT
        )
        self._seconds = 0.0
        # Somebody has to note when it ends: the other stages may take much longer.
        self._watch = threading.Thread(target=self._wait, daemon=True)
        self._watch.start()

    def _wait(self) -> None:
        self._process.wait()
        self._seconds = time.monotonic() - self._started

    def finish(self) -> Result:
        """Wait for the stage and show what it printed."""
        self._watch.join()
        code, seconds = self._process.returncode, self._seconds
        _announce(self.stage)
        self._output.seek(0)
        print(self._output.read().decode(errors="replace"), end="", flush=True)
        return Result(self.stage.name, code, seconds)

    def end(self) -> None:
        """End the process if it still runs: another stage was interrupted."""
        if self._process.poll() is None:
            self._process.terminate()
            self._watch.join()
        self._output.close()


def _announce(stage: Stage) -> None:
    shown = " ".join([Path(stage.command[0]).name, *stage.command[1:]])
    print(f"\n== {stage.name}: {shown}", flush=True)


def _environment(inherited: Mapping[str, str]) -> dict[str, str]:
    path = os.pathsep.join([str(_BIN), inherited.get("PATH", "")])
    # Where a machine forbids keeping byte code, every test worker compiles all tests anew: 15 s each time.
    kept = {name: value for name, value in inherited.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PATH": path}


def _summary(results: Sequence[Result], seconds: float) -> int:
    print("\n== summary")
    for result in results:
        print(f"  {'FAILED' if result.exit_code else 'ok    '} {result.seconds:7.1f} s  {result.name}")
    failed = sum(result.exit_code != 0 for result in results)
    print(f"stages: {len(results) - failed} passed, {failed} failed, {seconds:.0f} s in all")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "all"))
