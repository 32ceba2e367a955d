"""A real Prometheus for tests, from the Debian package that the image takes it from, and a real Alertmanager."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.debian_package import unpacked
from tests.support.ports import free_port

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
    with _serving(folder, configuration, binaries() / "prometheus", [f"--storage.tsdb.path={folder / 'data'}"]) as url:
        yield url


@contextmanager
def running_alertmanager(folder: Path, configuration: str) -> Generator[str]:
    """Run an Alertmanager with a configuration, alone; yield its address. Skips the test where it cannot be run."""
    package = unpacked("prometheus-alertmanager")
    # Debian's build wants its templates where the package would have been installed: it alone sees them there.
    place = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    bound = [*place, "sh", "-c", 'mount --bind "$0" /usr/share && exec "$@"', str(package / "usr" / "share")]
    if subprocess.run([*bound, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs a mount of its own, which this machine refuses")
    own = [f"--storage.path={folder / 'alerts'}", "--cluster.listen-address="]
    program = package / "usr" / "bin" / "prometheus-alertmanager"
    with _serving(folder, configuration, program, own, before=bound) as url:
        yield url


@contextmanager
def _serving(
    folder: Path, configuration: str, program: Path, arguments: Sequence[str], *, before: Sequence[str] = ()
) -> Generator[str]:
    file, log, port = folder / f"{program.name}.yaml", folder / f"{program.name}.log", free_port()
    file.write_text(configuration, encoding="utf-8")
    common = [f"--config.file={file}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with log.open("wb") as output:
        command = [*before, str(program), *common, *arguments]
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
