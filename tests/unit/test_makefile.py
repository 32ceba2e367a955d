"""The Makefile's Python environment, made by its own recipe from a package that lies in a folder."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from local import paths

MAKEFILE = paths.repo_root() / "Makefile"
NOWHERE = "http://127.0.0.1:1/simple"

pytestmark = pytest.mark.skipif(
    shutil.which("make") is None or importlib.util.find_spec("ensurepip") is None,
    reason="there is no make, or Python has no venv, which the recipe would install",
)


def _package(folder: Path) -> None:
    """Write the package that the recipe installs, without what is in the real one."""
    match = re.search(r"^UV_VERSION := (\S+)$", MAKEFILE.read_text(), re.MULTILINE)
    assert match is not None
    version = match.group(1)
    info = f"uv-{version}.dist-info"
    with zipfile.ZipFile(folder / f"uv-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: uv\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def _make(environment: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE"))}
    return subprocess.run(
        ["make", f"--file={MAKEFILE}", f"VENV={environment}", f"PYTHON={sys.executable}", f"{environment}/uv.stamp"],
        env={**inherited, "PIP_CONFIG_FILE": os.devnull, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `venv` has made when it is interrupted while it installs pip."""
    folder = tmp_path_factory.mktemp("makefile") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


@pytest.fixture(scope="module")
def without_registry(environment: Path) -> subprocess.CompletedProcess[str]:
    """How the recipe ends on it where no registry answers."""
    return _make(environment, PIP_INDEX_URL=NOWHERE, PIP_RETRIES="0")


def test_environment_is_made_anew_when_making_it_was_interrupted(
    environment: Path, without_registry: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    assert "creating the Python environment" in without_registry.stdout
    _package(tmp_path)
    done = _make(environment, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, ""), "now it is whole, so it stays"
    assert (environment / "uv.stamp").exists()


def test_registry_is_blamed_when_it_does_not_answer(without_registry: subprocess.CompletedProcess[str]) -> None:
    assert without_registry.returncode != 0
    assert "error: the registry of Python packages does not answer" in without_registry.stdout
    assert "No module named pip" not in without_registry.stderr
