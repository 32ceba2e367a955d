"""The model server as the platform runs it: a process with a command line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import httpx

from local.paths import repo_root
from tests.support.tfserving_target import Target

_START_SECONDS: Final = 120.0
_METRICS_PATH: Final = "/monitoring/prometheus/metrics"


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [int(item.getsockname()[1]) for item in sockets]
    for item in sockets:
        item.close()
    return ports


class ServerProcess:
    """One running server; a context that ends it."""

    def __init__(self, folder: Path, model: str, base_path: Path, *extra_flags: str) -> None:
        self.grpc_port, self.rest_port = free_ports(2)
        monitoring = folder / "monitoring.config"
        monitoring.write_text(f'prometheus_config {{ enable: true path: "{_METRICS_PATH}" }}\n')
        self.log_path = folder / "server.log"
        flags = [
            f"--port={self.grpc_port}",
            f"--rest_api_port={self.rest_port}",
            f"--model_name={model}",
            f"--model_base_path={base_path}",
            f"--monitoring_config_file={monitoring}",
            "--enable_grpc_healthcheck_service=true",
            "--num_load_threads=1",
            "--max_num_load_retries=0",
            "--tensorflow_intra_op_parallelism=1",
            "--tensorflow_inter_op_parallelism=1",
            "--rest_api_num_threads=4",
            "--grpc_max_threads=4",
            *extra_flags,
        ]
        self.target = Target(
            rest_url=f"http://127.0.0.1:{self.rest_port}",
            grpc_address=f"127.0.0.1:{self.grpc_port}",
            model=model,
            metrics_path=_METRICS_PATH,
        )
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local.modelserver", *flags],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=repo_root(),
                env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    @property
    def log(self) -> str:
        """Return what the server has printed so far."""
        return self.log_path.read_text(errors="replace")

    def wait_until_open(self) -> None:
        """Wait until the REST port answers."""
        self.wait_for(self.is_open)

    def is_open(self) -> bool:
        """Return whether the REST port answers."""
        try:
            httpx.get(f"{self.target.rest_url}/v1/models/{self.target.model}", timeout=5)
        except httpx.HTTPError:
            return False
        return True

    def states(self) -> dict[int, str]:
        """Return the state of each version."""
        answer = self.target.get(f"/v1/models/{self.target.model}").json()
        return {int(entry["version"]): str(entry["state"]) for entry in answer.get("model_version_status", [])}

    def wait_for(self, condition: Callable[[], object], *, seconds: float = _START_SECONDS) -> None:
        """Wait until a condition holds; fail with the server's log if it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self._process.poll() is not None:
                raise AssertionError(f"the server ended with status {self._process.returncode}:\n{self.log}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not so after {seconds} s:\n{self.log}")
            time.sleep(0.05)

    def terminate(self) -> int:
        """Ask the server to end and return its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=60)

    def wait(self, seconds: float = _START_SECONDS) -> int:
        """Wait until the server ends by itself and return its exit status."""
        return self._process.wait(timeout=seconds)
