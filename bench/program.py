"""What the Pulumi program costs by itself: importing it, and running it against a recording monitor."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from local import paths
from tests.support.stacks import STACKS

_ROUNDS = 5
_MOCK_RUN = "from tests.support.stacks import STACKS; STACKS[{!r}].run()"
_IMPORT = "import components.platform, components.settings"


def run() -> list[str]:
    """Return the lines of the report."""
    return [
        f"bare interpreter: {_median_seconds('pass'):.2f} s",
        f"import of pulumi alone: {_median_seconds('import pulumi'):.2f} s",
        f"import of the program: {_median_seconds(_IMPORT):.2f} s",
        f"import of `mlp`: {_median_seconds('import ml.cli'):.2f} s",
        *[f"whole program of `{name}` with mocks: {_median_seconds(_MOCK_RUN.format(name)):.2f} s" for name in STACKS],
    ]


def _median_seconds(code: str) -> float:
    times: list[float] = []
    for _ in range(_ROUNDS):
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", code], cwd=paths.repo_root(), check=True)
        times.append(time.monotonic() - started)
    return statistics.median(times)
