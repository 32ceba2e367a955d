"""T test and sequential t test by gbstats: prints JSON. Needs that package; see `bench.experiments`."""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any

REPEATS = 50


def main() -> None:
    """Time and record gbstats on its own test data."""
    tests: Any = importlib.import_module("gbstats.frequentist.tests")
    statistics: Any = importlib.import_module("gbstats.models.statistics")
    a = statistics.SampleMeanStatistic(sum=1396.87, sum_squares=52377.9767, n=3407)
    b = statistics.SampleMeanStatistic(sum=2422.7, sum_squares=134698.29, n=3461)
    found: dict[str, Any] = {}
    for difference in ("absolute", "relative"):
        cases: dict[str, Any] = {
            "t": lambda d=difference: tests.TwoSidedTTest(a, b, tests.FrequentistConfig(difference_type=d)),
            "sequential": lambda d=difference: tests.SequentialTwoSidedTTest(
                a, b, tests.SequentialConfig(difference_type=d, sequential_tuning_parameter=1000)
            ),
        }
        for name, make in cases.items():
            result: Any = make().compute_result()
            started = time.perf_counter()
            for _ in range(REPEATS):
                make().compute_result()
            seconds = (time.perf_counter() - started) / REPEATS
            found[f"{name}-{difference}"] = {
                "seconds": seconds,
                "expected": float(result.expected),
                "interval": [float(end) for end in result.ci],
                "p_value": float(result.p_value),
            }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
