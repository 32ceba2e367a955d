"""A real tracking server for all tests of this folder."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.support.tracking_server import TrackingServer


@pytest.fixture(scope="session")
def tracking_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[TrackingServer]:
    """Return a running server."""
    server = TrackingServer(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.stop()
