"""A real MLflow tracking server for tests: SQLite, files on disk, artifacts through the server."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import httpx

_START_SECONDS: Final = 180.0


@functools.cache
def shared_tracking_server() -> TrackingServer:
    """Return the one server of this test run, started on first use and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="tracking-server-"))
    server = TrackingServer(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.stop)  # runs before the folder is removed
    server.start()
    return server


class TrackingServer:
    """One running server; it can be stopped and started again with its data."""

    def __init__(self, folder: Path, *, workspaces: bool = False) -> None:
        self._folder, self._workspaces = folder, workspaces
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)),
            *("--backend-store-uri", f"sqlite:///{self._folder}/mlflow.sqlite", "--workers", "1"),
            *("--artifacts-destination", str(self._folder / "artifacts")),
        ]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **({"MLFLOW_ENABLE_WORKSPACES": "true"} if self._workspaces else {}),
        }
        log_path = self._folder / "server.log"
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=self._folder, start_new_session=True
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, log_path.read_text(errors="replace")
            assert time.monotonic() < deadline, log_path.read_text(errors="replace")
            time.sleep(0.2)

    def stop(self) -> None:
        """End the server and its workers; its data stays."""
        if self._process is not None:
            os.killpg(self._process.pid, 9)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False
