"""What the Pulumi program costs by itself: importing it, and rendering it, which runs it with mocks."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from local import paths
from tests.support.stacks import STACKS

_ROUNDS = 5
_IMPORT = "import components.platform, components.settings"


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
    ]


def _median_seconds(*arguments: str) -> float:
    times: list[float] = []
    for _ in range(_ROUNDS):
        started = time.monotonic()
        subprocess.run([sys.executable, *arguments], cwd=paths.repo_root(), stdout=subprocess.DEVNULL, check=True)
        times.append(time.monotonic() - started)
    return statistics.median(times)
