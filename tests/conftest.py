"""What a test asks for says how slow it is: whoever needs an API server or a trained model is not in the edit loop."""

from __future__ import annotations

import pytest

_SLOW_FIXTURES = {"api_server", "toolchain"}
_SLOW_PLACES = (
    "tests/local/modelserver/",
    "tests/ml/experiments/test_simulations.py",
    "tests/ml/pipelines/test_local_run.py",
    "tests/ml/serving/test_slot.py",
    "tests/ml/training/test_steps.py",
)
"""Files whose tests train or serve a real model, or simulate."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests as slow by what they use and where they are, so that nobody can forget it."""
    for item in items:
        if _SLOW_FIXTURES & set(getattr(item, "fixturenames", ())) or item.nodeid.startswith(_SLOW_PLACES):
            item.add_marker(pytest.mark.slow)
