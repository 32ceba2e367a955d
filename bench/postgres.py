"""A PostgreSQL of the benchmark's own, with that server's default settings."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.postgres import PostgresServer

MAINTENANCE_SECONDS: Final = 1800.0
"""So long may a statement take that fills tables."""


@contextmanager
def postgres() -> Generator[PostgresServer]:
    """Start a server in a temporary folder; stop it and remove its data afterwards."""
    with tempfile.TemporaryDirectory(prefix="postgres-bench-") as folder:
        server = PostgresServer(Path(folder))
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop()
