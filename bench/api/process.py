"""Starts the API in a process of its own on loopback, and a stand-in for the Kubernetes API that it asks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from bench.api.filling import MODELS
from bench.api.lives import CANDIDATE, NAMESPACE
from ml.contracts import MODEL_LABEL, SLOTS_ANNOTATION, STABLE_SLOT, TRAFFIC_ROLE_LABEL, TRAFFIC_ROLE_ROOT
from ml.events.pool import DatabaseSettings
from tests.support.web_server import QuietHandler, served

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
KUBERNETES_URL: Final = "BENCH_KUBERNETES_URL"
"""Environment variable by which the process learns where the stand-in is."""
_TOKENS: Final = ("read", "write", "decide")
_TOKEN: Final = "a-word-for-benchmarks-" + "0" * 32
_UNLIMITED: Final = "100000"


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running API."""

    port: int
    token: str
    pid: int


@contextmanager
def serving(database: DatabaseSettings) -> Generator[Served]:
    """Start the API on a database, wait until it is ready, and end it afterwards.

    Raises:
        RuntimeError: it ended, or was not ready in time.
    """
    with tempfile.TemporaryDirectory(prefix="api-bench-") as folder, _kubernetes() as kubernetes:
        for name in _TOKENS:
            (Path(folder) / name).write_text(f"{name}-{_TOKEN}", encoding="ascii")
        port = _free_port()
        environment = {
            **os.environ,
            "API_PORT": str(port),
            "NAMESPACE": NAMESPACE,
            "TOKENS_DIR": folder,
            "RATE_READS_PER_SECOND": _UNLIMITED,
            "DATABASE_HOST": database.host,
            "DATABASE_PORT": str(database.port),
            "DATABASE_NAME": database.database,
            "DATABASE_USER": database.user,
            "DATABASE_PASSWORD": database.password,
            KUBERNETES_URL: kubernetes,
        }
        process = subprocess.Popen([sys.executable, "-m", "bench.api.served"], env=environment)
        try:
            _wait_until_ready(process, port)
            yield Served(port=port, token=f"read-{_TOKEN}", pid=process.pid)
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass  # it does not listen yet
        time.sleep(0.1)
    raise RuntimeError(f"the API is not ready after {_START_SECONDS:g} s, exit code {process.poll()}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class _Roots(QuietHandler):
    """Answers every request with the root VirtualServices of all models."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps({"items": [_root(model) for model in MODELS]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _root(model: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"{model}-root",
            "labels": {MODEL_LABEL: model.replace("_", "-"), TRAFFIC_ROLE_LABEL: TRAFFIC_ROLE_ROOT},
            "annotations": {SLOTS_ANNOTATION: f"{STABLE_SLOT},{CANDIDATE}"},
        },
        "spec": {"http": [{"match": [{"uri": {"exact": f"/v1/models/{model}"}}]}]},
    }


@contextmanager
def _kubernetes() -> Generator[str]:
    with served(_Roots) as server:
        yield f"http://127.0.0.1:{server.server_port}"
