from __future__ import annotations

from pathlib import Path

import pytest

from local.toolchain.catalog import GoTool, Installed
from local.toolchain.installed import fits, link

TOOL = GoTool(
    name="thing",
    version="1.35.2",
    packages={"thing": "example.com/thing", "helper": "example.com/helper"},
    folder="thing",
    installed=Installed(("thing", "--version"), r"Thing v(\S+)", equal_parts=2),
)


@pytest.mark.parametrize(
    ("have", "equal_parts", "expected"),
    [
        ("1.35.2", 2, True),
        ("v1.35.2", 2, True),
        ("1.35.10", 2, True),
        ("1.35.1", 2, False),
        ("1.36.0", 2, False),
        ("1.36.0", 1, True),
        ("2.0.0", 1, False),
        ("1.35.2-rc.1", 2, False),
        ("", 2, False),
    ],
)
def test_version_fits_when_it_is_equal_in_its_first_parts_and_not_older(
    have: str, equal_parts: int, expected: bool
) -> None:
    assert fits(have, "1.35.2", equal_parts) is expected


def _install(folder: Path, name: str, says: str, exit_code: int = 0) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {exit_code}\n")
    path.chmod(0o755)


@pytest.fixture
def path_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


@pytest.fixture
def binaries(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def test_all_binaries_are_linked_when_the_version_fits(path_folder: Path, binaries: Path) -> None:
    _install(path_folder, "thing", "Thing v1.35.9")
    _install(path_folder, "helper", "")
    assert link(TOOL, binaries) == "1.35.9"
    assert (binaries / "helper").resolve() == path_folder / "helper"


@pytest.mark.parametrize(("says", "exit_code"), [("Thing v1.34.0", 0), ("nothing known", 0), ("Thing v1.35.9", 1)])
def test_nothing_is_linked_when_the_version_does_not_fit(
    path_folder: Path, binaries: Path, says: str, exit_code: int
) -> None:
    _install(path_folder, "thing", says, exit_code)
    _install(path_folder, "helper", "")
    assert link(TOOL, binaries) is None
    assert list(binaries.iterdir()) == []


def test_nothing_is_linked_when_a_binary_is_missing(path_folder: Path, binaries: Path) -> None:
    _install(path_folder, "thing", "Thing v1.35.9")
    assert link(TOOL, binaries) is None
