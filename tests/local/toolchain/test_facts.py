from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from local.toolchain import facts


def test_memory_is_read_when_the_kernel_tells_it() -> None:
    assert facts.memory_bytes("MemTotal:       24566172 kB\nMemFree:  1 kB\n") == 24566172 * 1024
    assert facts.memory_bytes("") == 0


def test_free_space_is_that_of_the_nearest_parent_when_the_folder_does_not_exist(tmp_path: Path) -> None:
    found = facts.folder(tmp_path / "a" / "b")
    assert (found.path, found.device) == (tmp_path / "a" / "b", tmp_path.stat().st_dev)
    assert found.free_bytes > 0


def test_port_is_taken_when_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        assert facts.taken_ports([port]) == (port,)
    assert facts.taken_ports([port]) == ()


def test_go_is_absent_when_it_is_not_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert facts.go_version() == (None, False)


@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go on PATH")
def test_folders_of_go_are_those_that_go_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOCACHE", str(tmp_path / "builds"))
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modules"))
    assert facts.go_folders() == {"GOCACHE": tmp_path / "builds", "GOMODCACHE": tmp_path / "modules"}
    monkeypatch.setenv("GOCACHE", "off")
    assert facts.go_folders() == {"GOMODCACHE": tmp_path / "modules"}


@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go on PATH")
def test_folders_of_go_are_in_the_home_of_the_user_when_home_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "GOCACHE", "GOMODCACHE", "GOPATH"):
        monkeypatch.delenv(name, raising=False)
    found = facts.go_folders()
    assert [found[name].is_relative_to(Path.home()) for name in facts.GO_CACHES] == [True, True]


def test_go_has_no_folders_when_it_is_not_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert facts.go_folders() == {}


@pytest.mark.parametrize(
    ("goversion", "toolchain", "expected"),
    [("go1.26.8", "local", ("1.26.8", False)), ("go1.27", "auto", ("1.27", True)), ("go1.26rc1", "", ("1.26", True))],
)
def test_go_is_understood_when_it_tells_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goversion: str, toolchain: str, expected: tuple[str, bool]
) -> None:
    go = tmp_path / "go"
    go.write_text(f"#!/bin/sh\necho {goversion}\necho {toolchain}\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert facts.go_version() == expected


def test_memory_controller_is_missing_when_cgroups_have_none(tmp_path: Path) -> None:
    assert "cgroups" in facts.missing_kernel_features(tmp_path)
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    assert "cgroups" not in facts.missing_kernel_features(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may use what is looked for")
def test_nothing_is_changed_when_kernel_features_are_tried() -> None:
    before = Path("/proc/self/mountinfo").read_text()
    facts.missing_kernel_features()
    assert Path("/proc/self/mountinfo").read_text() == before
