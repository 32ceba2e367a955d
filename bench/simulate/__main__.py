"""Command line of the simulations: `python -m bench.simulate [--runs N] [--seed S] [PART ...]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable

from bench.simulate import family, peeking, ramps, sizes, tails, whole
from bench.simulate.report import Line

PARTS: dict[str, Callable[[int, int], Iterable[Line]]] = {
    "sizes": lambda runs, seed: sizes.lines(),  # noqa: ARG005 exact, needs neither
    "ramps": lambda runs, seed: ramps.lines(max(200, runs // 5), seed),
    "tails": lambda runs, seed: tails.lines(max(200, runs // 10), seed),
    "family": lambda runs, seed: family.lines(runs, seed),
    "whole": lambda runs, seed: whole.lines(max(100, runs // 20), seed),
    "peeking-1h": lambda runs, seed: peeking.lines(runs, seed, ("1 h",)),
    "peeking-24h": lambda runs, seed: peeking.lines(runs, seed, ("24 h",)),
    "peeking-7d": lambda runs, seed: peeking.lines(runs, seed, ("7 d",)),
}


def main() -> int:
    """Run the parts asked for (all by default) and return 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulate", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; all by default")
    parser.add_argument("--runs", type=int, default=20_000, help="simulated experiments per figure")
    parser.add_argument("--seed", type=int, default=20_261_123)
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown or options.runs < 100:
        parser.error(
            f"unknown parts {sorted(unknown)}" if unknown else f"--runs={options.runs}: allowed is 100 or more"
        )
    broken = 0
    for part in options.parts or PARTS:
        started = time.perf_counter()
        for line in PARTS[part](options.runs, options.seed):
            broken += not line.holds
            print(line, flush=True)
        print(
            f"     {part}: {time.perf_counter() - started:.1f} s, runs {options.runs}, seed {options.seed}", flush=True
        )
    print(f"{broken} promises broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
