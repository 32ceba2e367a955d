"""A real Prometheus for tests, from the Debian package that the image takes it from."""

from __future__ import annotations

import functools
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

import httpx
import pytest

_START_SECONDS: Final = 60.0
_APT: Final = ("apt-get", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3")


@functools.cache
def binaries() -> Path:
    """Return the folder with `prometheus` and `promtool`; skips the test where no package can be had."""
    for name in ("prometheus", "promtool"):
        if shutil.which(name) is None:
            break
    else:
        return Path(str(shutil.which("prometheus"))).parent
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlplatform" / "tests" / "prometheus"
    folder = cache / "usr" / "bin"
    if not (folder / "prometheus").exists():
        _unpack(cache)
    return folder


def _unpack(cache: Path) -> None:
    """Unpack the package without installing it: it wants a user, a service manager and JavaScript libraries."""
    if shutil.which("apt-get") is None:
        pytest.skip("needs Prometheus: there is no apt-get to get Debian's package with")
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent, prefix="prometheus-") as name:
        Path(name).chmod(0o755)
        download = [*_APT, "download", "prometheus"]
        if subprocess.run(download, cwd=name, capture_output=True, check=False).returncode != 0:
            subprocess.run([*_APT, "update"], capture_output=True, check=False)
            done = subprocess.run(download, cwd=name, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.skip(f"needs Prometheus: apt-get has no such package: {done.stderr.strip()[-200:]}")
        (package,) = Path(name).glob("prometheus_*.deb")
        subprocess.run(["dpkg-deb", "--extract", package, f"{name}/root"], check=True)
        shutil.rmtree(cache, ignore_errors=True)
        (Path(name) / "root").rename(cache)


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
