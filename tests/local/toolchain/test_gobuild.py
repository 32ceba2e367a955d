from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from local.toolchain.catalog import GoTool
from local.toolchain.errors import ToolchainError
from local.toolchain.gobuild import build

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go on PATH")

TOOL = GoTool(
    name="thing",
    version="1",
    packages={"renamed": "example.com/thing"},
    folder="thing",
    link_flags="-X main.version=1.2.3",
)
CALLS_C = 'package main\n\nimport "runtime/cgo"\n\nfunc main() { cgo.NewHandle(1).Delete() }\n'
PROGRAM = 'package main\n\nvar version string\n\nfunc main() { print("version ", version) }\n'


def _module(modules: Path, program: str) -> Path:
    folder = modules / "thing"
    folder.mkdir()
    (folder / "go.mod").write_text("module example.com/thing\n\ngo 1.26\n")
    (folder / "main.go").write_text(program)
    return modules


def test_binary_has_its_name_and_version_when_it_was_built(tmp_path: Path) -> None:
    told: list[str] = []
    binaries = tmp_path / "bin"
    binaries.mkdir()
    build(TOOL, _module(tmp_path, PROGRAM), binaries, told.append)
    assert [path.name for path in binaries.iterdir()] == ["renamed"]
    done = subprocess.run([binaries / "renamed"], capture_output=True, text=True, check=True)
    assert done.stderr == "version 1.2.3"
    # A compiler that has nothing in its cache takes long enough to be asked for a sign of life.
    assert told[0] == "building thing (renamed)"
    assert all(line.startswith(told[0]) for line in told)


def test_all_binaries_are_there_when_a_tool_has_several(tmp_path: Path) -> None:
    folder = _module(tmp_path, PROGRAM) / "thing"
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "main.go").write_text(PROGRAM.replace('"version "', f'"{name} "'))
    binaries = tmp_path / "bin"
    binaries.mkdir()
    tool = replace(TOOL, packages={f"thing-{name}": f"example.com/thing/{name}" for name in ("one", "two")})
    build(tool, tmp_path, binaries, lambda _message: None)
    assert sorted(path.name for path in binaries.iterdir()) == ["thing-one", "thing-two"]
    for name in ("one", "two"):
        done = subprocess.run([binaries / f"thing-{name}"], capture_output=True, text=True, check=True)
        assert done.stderr == f"{name} 1.2.3"


def test_build_fails_when_a_tool_calls_c_and_does_not_say_so(tmp_path: Path) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    with pytest.raises(ToolchainError, match="building thing failed"):
        build(TOOL, _module(tmp_path, CALLS_C), binaries, lambda _message: None)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc on PATH to build with")
def test_tool_is_built_when_it_says_that_it_calls_c(tmp_path: Path) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    build(replace(TOOL, cgo=True), _module(tmp_path, CALLS_C), binaries, lambda _message: None)
    assert subprocess.run([binaries / "renamed"], check=False).returncode == 0


def test_error_shows_what_the_compiler_said_when_the_build_fails(tmp_path: Path) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    with pytest.raises(ToolchainError, match=r"(?s)building thing failed.*undefined: nonsense"):
        build(TOOL, _module(tmp_path, "package main\n\nfunc main() { nonsense() }\n"), binaries, lambda _message: None)
    assert list(binaries.iterdir()) == []


def test_error_says_so_when_there_is_no_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    binaries = tmp_path / "bin"
    binaries.mkdir()
    with pytest.raises(ToolchainError, match="no `go` on PATH"):
        build(TOOL, _module(tmp_path, PROGRAM), binaries, lambda _message: None)
