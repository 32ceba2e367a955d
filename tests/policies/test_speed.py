"""Judging stays fast enough for every change of a pull request; `python -m bench policies` measures more."""

from __future__ import annotations

import time
from typing import Final

from bench.policies import resources
from policies.configuration import Configuration
from policies.engine import evaluate

_OBJECTS: Final = 5_000
_MOST_SECONDS: Final = 3.0


def test_thousands_of_objects_are_judged_in_seconds_when_the_processor_is_free() -> None:
    given = resources(_OBJECTS)
    started = time.process_time()  # what other work on the machine takes does not count
    report = evaluate(given, Configuration(), "dev")
    assert time.process_time() - started <= _MOST_SECONDS
    assert report.resources == _OBJECTS
    assert len(report.judged) > _OBJECTS
