"""One running API per module of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ml.api.service import Service


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    running = Service()
    yield running
    running.stop()
