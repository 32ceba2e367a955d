"""What judging costs: one stack as `mlp policy check` does it, and thousands of objects of the corpus.

Both are given in seconds on the wall and of processor time, which other work on the machine does not change.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle, islice

from local import paths
from policies._model import Resource
from policies.configuration import Configuration
from policies.engine import evaluate
from policies.registry import RULES
from tests.policies import corpus

_ROUNDS = 5
_OBJECTS = 5_000
_NAMESPACES = 50
_STACKS = ("dev", "local")


def run() -> list[str]:
    """Return the lines of the report."""
    given = resources(_OBJECTS)
    load = f"load {os.getloadavg()[0]:.1f}"
    found = len(evaluate(given, Configuration(), "bench").judged)
    judging = _median(lambda: evaluate([replace(item) for item in given], Configuration(), "bench"))
    return [
        *[f"`mlp policy check {stack}`: {_shown(_median(lambda stack=stack: _check(stack)))}" for stack in _STACKS],
        f"{_OBJECTS} objects of the corpus, {len(RULES)} rules, {found} findings: {_shown(judging)}",
        load,
    ]


def resources(count: int) -> list[Resource]:
    """Return objects of every kind and quality, in many namespaces, none with the name of another."""
    cases = [case.resource for case in corpus.cases()]
    return [
        replace(item, name=f"{item.name}-{number}", namespace=f"{item.namespace}-{number % _NAMESPACES}")
        for number, item in enumerate(islice(cycle(cases), count))
    ]


def _check(stack: str) -> None:
    command = [sys.executable, "-m", "ml.cli", "policy", "check", stack]
    subprocess.run(command, cwd=paths.repo_root(), stdout=subprocess.DEVNULL, check=True)


def _median(action: Callable[[], object]) -> tuple[float, float]:
    """Return seconds on the wall and of processor time, children included."""
    walls: list[float] = []
    processor: list[float] = []
    for _ in range(_ROUNDS):
        started, before = time.monotonic(), os.times()
        action()
        after = os.times()
        walls.append(time.monotonic() - started)
        processor.append(sum(after[:4]) - sum(before[:4]))
    return statistics.median(walls), statistics.median(processor)


def _shown(measured: tuple[float, float]) -> str:
    return f"{measured[0]:.2f} s, of the processor {measured[1]:.2f} s"
