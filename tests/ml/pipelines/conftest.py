"""A real tracking server for the tests of this folder."""

from __future__ import annotations

import pytest

from tests.support.tracking_server import TrackingServer, shared_tracking_server


@pytest.fixture(scope="session")
def tracking_server() -> TrackingServer:
    """Return a running server."""
    return shared_tracking_server()
