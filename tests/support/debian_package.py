"""Programs of Debian packages for tests, from the packages that images take them from."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import pytest

_APT: Final = ("apt-get", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3")


def unpacked(package: str) -> Path:
    """Return a folder with a package's files; skips the test where it cannot be had.

    It is not installed: that would want users, a service manager and further packages.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlplatform" / "tests" / package
    if not cache.exists():
        _fetch(package, cache)
    return cache


def _fetch(package: str, target: Path) -> None:
    if shutil.which("apt-get") is None:
        pytest.skip(f"needs {package}: there is no apt-get to get Debian's package with")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{package}-") as name:
        Path(name).chmod(0o755)
        download = [*_APT, "download", package]
        if subprocess.run(download, cwd=name, capture_output=True, check=False).returncode != 0:
            subprocess.run([*_APT, "update"], capture_output=True, check=False)
            done = subprocess.run(download, cwd=name, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.skip(f"needs {package}: apt-get has no such package: {done.stderr.strip()[-200:]}")
        (archive,) = Path(name).glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "--extract", archive, f"{name}/root"], check=True)
        (Path(name) / "root").rename(target)
