"""The whole graph of every stack. A difference is not an error in itself: it is what a reviewer has to agree to."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import golden
from tests.support.stacks import ROOT, STACKS

GOLDEN = Path(__file__).parent / "golden"
_PRINT_SNAPSHOTS = (
    "import json, sys; from tests.support import golden, stacks; "
    "json.dump({name: golden.snapshot(it.run()) for name, it in stacks.STACKS.items()}, sys.stdout)"
)

every_stack = pytest.mark.parametrize("stack", sorted(STACKS))


@every_stack
@pytest.mark.parametrize("preview", [True, False], ids=["preview", "up"])
def test_graph_is_the_golden_one_when_declared(stack: str, preview: bool) -> None:
    golden.compare(golden.snapshot(STACKS[stack].run(preview=preview)), GOLDEN / f"{stack}.json", preview=preview)


@every_stack
def test_graph_is_identical_when_hashes_are_seeded_differently(stack: str) -> None:
    snapshots = {_snapshots_in_a_process(seed)[stack] for seed in ("1", "2")}
    assert len(snapshots) == 1
    golden.compare(snapshots.pop(), GOLDEN / f"{stack}.json")


@functools.cache
def _snapshots_in_a_process(seed: str) -> dict[str, str]:
    """Return those of all stacks: an interpreter takes longer to start than to declare one of them."""
    done = subprocess.run(
        [sys.executable, "-c", _PRINT_SNAPSHOTS],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed, "PULUMI_ERROR_OUTPUT_STRING": "true"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)
