"""What the Pulumi program costs by itself: importing it, and rendering it, which runs it with mocks."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from local import paths
from tests.support.stacks import STACKS

_ROUNDS = 5
_IMPORT = "import components.platform, components.settings"
_STACK_OF_MANY = "prod"
_MODELS = (1, 2, 10, 50, 100, 200)
_RUN_OF_MANY = "from tests.support.stacks import with_models; print(len(with_models({!r}, {}).run().resources))"


def run() -> list[str]:
    """Return the lines of the report."""
    return [
        f"bare interpreter: {_median_seconds('-c', 'pass'):.2f} s",
        f"import of pulumi alone: {_median_seconds('-c', 'import pulumi'):.2f} s",
        f"import of the program: {_median_seconds('-c', _IMPORT):.2f} s",
        f"import of `mlp`: {_median_seconds('-c', 'import ml.cli'):.2f} s",
        *[
            f"whole program of `{name}` with mocks: {_median_seconds('-m', 'policies.render', name):.2f} s"
            for name in STACKS
        ],
        f"| models of `{_STACK_OF_MANY}` | resources | whole program with mocks, processor time | each model more |",
        "|---:|---:|---:|---:|",
        *_many(),
    ]


def _many() -> Iterator[str]:
    """Yield what a stack of more and more models takes, each in a process of its own."""
    before: tuple[int, float] | None = None
    for count in _MODELS:
        started = _children_seconds()
        code = _RUN_OF_MANY.format(_STACK_OF_MANY, count)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=paths.repo_root(), capture_output=True, text=True, check=True
        )
        seconds = _children_seconds() - started
        each = "" if before is None else f"{1_000 * (seconds - before[1]) / (count - before[0]):.0f} ms"
        yield f"| {count} | {int(done.stdout)} | {seconds:.1f} s | {each} |"
        before = (count, seconds)


def _median_seconds(*arguments: str) -> float:
    times: list[float] = []
    for _ in range(_ROUNDS):
        started = time.monotonic()
        subprocess.run([sys.executable, *arguments], cwd=paths.repo_root(), stdout=subprocess.DEVNULL, check=True)
        times.append(time.monotonic() - started)
    return statistics.median(times)


def _children_seconds() -> float:
    """Return the processor time of all processes that this one has started and seen ending."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
