"""Stores that run on this machine for a test, the scripts that set them up, and clients of them."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from components._workload import script
from local import toolchain
from local.progress import ConsoleProgress

ADMIN_PASSWORD: Final = "a0" * 32
_READY_SECONDS: Final = 60


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server and how its administrator's client finds it."""

    port: int
    environment: Mapping[str, str]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def write_consumer(folder: Path, name: str, **files: str) -> None:
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    for key, value in files.items():
        (target / key.replace("_", "-")).write_text(value, encoding="utf-8")


def run_script(name: str, server: Server, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", script(name)],
        env={
            **server.environment,
            "CONSUMERS_DIR": str(folder / "consumers"),
            "OBSERVER_DIR": str(folder / "observer"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not open its port"
            time.sleep(0.1)
        else:
            return


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=30)


def bootstrap(name: str, server: Server, folder: Path) -> None:
    done = run_script(name, server, folder)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def running_minio(folder: Path) -> Generator[Server]:
    """Run a MinIO that keeps its data in a folder, without buckets and users."""
    tools = toolchain.ensure(["minio", "minio-client"], ConsoleProgress())
    (folder / "user").write_text("admin", encoding="utf-8")
    (folder / "password").write_text(ADMIN_PASSWORD, encoding="utf-8")
    port, console = free_port(), free_port()
    process = subprocess.Popen(
        [
            str(tools.bin("minio")), "server", str(folder / "data"),
            "--address", f"127.0.0.1:{port}", "--console-address", f"127.0.0.1:{console}",
        ],
        env={
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "MINIO_UPDATE": "off",
            "MINIO_ROOT_USER_FILE": str(folder / "user"),
            "MINIO_ROOT_PASSWORD_FILE": str(folder / "password"),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until_open(port, process)
    server = Server(
        port=port,
        environment={
            "PATH": f"{tools.bin('mc').parent}:{os.environ['PATH']}",
            "MC_HOST_store": f"http://admin:{ADMIN_PASSWORD}@127.0.0.1:{port}",
            "MC_CONFIG_DIR": str(folder / "mc"),
            "HOME": str(folder),
        },
    )
    yield server
    stop(process)


def store_as(port: int, user: str, secret: str) -> Any:
    return boto3.client(  # pyright: ignore[reportUnknownMemberType] one overload per service
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=user,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


def refused(action: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        action(**arguments)
    return caught.value.response.get("Error", {}).get("Code", "")
