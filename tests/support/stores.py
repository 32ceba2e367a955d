"""Object stores that run on this machine for a test, and clients of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local import toolchain
from local.progress import ConsoleProgress
from tests.support.bootstrap import ADMIN_PASSWORD, Server, stop, wait_until_open
from tests.support.ports import free_port


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
