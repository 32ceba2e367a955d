"""The plugin folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from local.provider import install
from local.provider.packaging import EXECUTABLE


def test_the_plugin_starts_and_prints_only_its_port_when_run_from_anywhere(tmp_path: Path) -> None:
    executable = install(tmp_path / "plugin")
    assert executable.name == EXECUTABLE

    process = subprocess.Popen(
        [executable], stdout=subprocess.PIPE, cwd="/", env={"PATH": os.environ["PATH"]}, text=True
    )
    try:
        assert process.stdout is not None
        assert 1024 < int(process.stdout.readline()) < 65536
    finally:
        process.kill()
        assert process.stdout is not None
        assert process.stdout.read() == ""
        process.wait()


def test_installing_again_changes_nothing_when_it_is_ours(tmp_path: Path) -> None:
    first = install(tmp_path).read_text(encoding="utf-8")

    assert install(tmp_path).read_text(encoding="utf-8") == first
    assert [path.name for path in tmp_path.iterdir()] == [EXECUTABLE]


def test_another_plugin_is_left_alone_when_it_lies_in_the_folder(tmp_path: Path) -> None:
    official = tmp_path / EXECUTABLE
    official.write_bytes(b"\x7fELF" + bytes(100))

    with pytest.raises(FileExistsError, match="another plugin"):
        install(tmp_path)
    assert official.read_bytes().startswith(b"\x7fELF")
