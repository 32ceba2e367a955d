"""`make bench`: measures, and prints Markdown for docs/benchmarks.md.

Usage: python -m bench [SECTION ...]; all sections if none is named. Sections that need it measure the platform which
`make up` started and say so when there is none.
"""

from __future__ import annotations

import importlib
import os
import platform as machine
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from local.lifecycle import platform
from local.lifecycle.instance import Instance
from local.lifecycle.platform import Platform
from local.progress import ConsoleProgress

_OFFLINE = {
    "program": "bench.program",
    "experiments": "bench.experiments",
    "events": "bench.events",
    "api": "bench.api",
    "controller": "bench.controller",
    "policies": "bench.policies",
    "regions": "bench.regions",
}
_LIVE = {
    "engine": "bench.engine",
    "serving": "bench.serving",
    "splitting": "bench.splitting",
    "scaling": "bench.scaling",
}


def main(wanted: list[str]) -> int:
    """Run the sections named in `wanted` and return the exit code."""
    known = [*_OFFLINE, *_LIVE]
    if unknown := [name for name in wanted if name not in known]:
        print(f"error: unknown section {', '.join(unknown)}: allowed are {', '.join(known)}", file=sys.stderr)
        return 2
    chosen = wanted or known
    today = datetime.now(tz=UTC).date()
    print(f"{today}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB, {machine.platform()}")
    for name in chosen:
        if name in _OFFLINE:
            _print(name, importlib.import_module(_OFFLINE[name]).run)
    live = [name for name in chosen if name in _LIVE]
    if not live:
        return 0
    try:
        running = platform.existing(Instance.from_environment(), ConsoleProgress())
    except platform.StepError as error:
        print(f"\nnot measured: {', '.join(live)}: {error}")
        return 1
    for name in live:
        run: Callable[[Platform], list[str]] = importlib.import_module(_LIVE[name]).run
        _print(name, lambda run=run: run(running))
    return 0


def _print(name: str, run: Callable[[], list[str]]) -> None:
    print(f"\n### {name}\n", flush=True)
    for line in run():
        print(line if line.startswith("|") else f"- {line}", flush=True)


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
