"""A real Prometheus for tests, from the Debian package that the image takes it from."""

from __future__ import annotations

import functools
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from tests.support.debian_package import unpacked

_START_SECONDS: Final = 60.0


@functools.cache
def binaries() -> Path:
    """Return the folder with `prometheus` and `promtool`; skips the test where no package can be had."""
    for name in ("prometheus", "promtool"):
        if shutil.which(name) is None:
            break
    else:
        return Path(str(shutil.which("prometheus"))).parent
    return unpacked("prometheus") / "usr" / "bin"


@contextmanager
def running(folder: Path, configuration: str) -> Generator[str]:
    """Run Prometheus with a configuration; yield its address."""
    file = folder / "prometheus.yaml"
    file.write_text(configuration, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [
        str(binaries() / "prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(url):
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
