"""Alpha-spending boundaries by spotify-confidence: prints JSON. Needs that package; see `bench.experiments`."""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any

import numpy as np

RHO = 2.0
ALPHA = 0.025
LOOKS = (5, 30, 120)


def main() -> None:
    """Time the boundaries of a one-sided power-family design for several numbers of looks."""
    solver: Any = importlib.import_module("spotify_confidence.analysis.frequentist.sequential_bound_solver")
    found: dict[str, dict[str, Any]] = {}
    for looks in LOOKS:
        started = time.perf_counter()
        result: Any = solver.bounds(np.arange(1, looks + 1) / looks, ALPHA, RHO, 8.0, 1)
        elapsed = time.perf_counter() - started
        found[str(looks)] = {"seconds": elapsed, "bounds": [float(z) for z in result.bounds]}
    json.dump({"rho": RHO, "alpha": ALPHA, "looks": found}, sys.stdout)


if __name__ == "__main__":
    main()
