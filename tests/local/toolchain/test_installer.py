from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from local import paths
from local.locking import locked
from local.toolchain import ToolchainError, ensure, installer
from local.toolchain.catalog import TOOLS, GoTool


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLP_CACHE_DIR", str(tmp_path))
    return tmp_path


def _fill(name: str) -> GoTool:
    tool = TOOLS[name]
    assert isinstance(tool, GoTool)
    with installer.default_cache().adding(tool) as binaries:
        for binary in tool.binaries:
            (binaries / binary).write_text(binary)
    return tool


def test_no_process_is_started_when_nothing_is_missing(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill("etcd")
    _fill("kubernetes")
    before = sorted(cache_folder.rglob("*"))

    def refuse(*arguments: object, **_options: object) -> None:
        raise AssertionError(f"started {arguments}")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    tools = ensure(["etcd", "kubernetes"])
    assert tools.bin("kubelet").read_text() == "kubelet"
    assert sorted(cache_folder.rglob("*")) == before


def test_fitting_tool_on_path_is_used_when_it_is_not_cached(
    cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etcd = tmp_path / "on-path" / "etcd"
    etcd.parent.mkdir()
    etcd.write_text("#!/bin/sh\necho 'etcd Version: 3.6.99'\n")
    etcd.chmod(0o755)
    monkeypatch.setenv("PATH", f"{etcd.parent}:/usr/bin:/bin")
    told: list[str] = []
    assert ensure(["etcd"], told.append).bin("etcd").resolve() == etcd
    assert told == ["using etcd 3.6.99 from PATH"]


def test_error_lists_the_tools_when_a_name_is_unknown() -> None:
    with pytest.raises(ToolchainError, match=r"unknown tool etdc: allowed are etcd, kubernetes, .*containerd"):
        ensure(["etdc"])


def test_binary_of_another_tool_is_refused_when_it_was_not_asked_for(cache_folder: Path) -> None:
    _fill("etcd")
    with pytest.raises(KeyError, match="'kubelet' is not in this toolchain"):
        ensure(["etcd"]).bin("kubelet")


def test_tools_come_first_when_their_path_is_used(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill("etcd")
    monkeypatch.setenv("PATH", "/somewhere:/usr/bin")
    tools = ensure(["etcd"])
    assert tools.path_env() == f"{tools.bin('etcd').parent}:/somewhere:/usr/bin"


def test_second_process_waits_when_a_first_one_installs(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from local.locking import locked\n"
        "with locked(Path(sys.argv[1]), lambda: print('waiting', flush=True)): print('locked', flush=True)"
    )
    lock = tmp_path / "folder" / "lock"
    with locked(lock):
        second = subprocess.Popen(
            [sys.executable, "-c", program, str(lock)], cwd=paths.repo_root(), stdout=subprocess.PIPE, text=True
        )
        assert second.stdout is not None
        assert second.stdout.readline() == "waiting\n"
        time.sleep(0.1)
        assert second.poll() is None
    assert second.communicate(timeout=10)[0] == "locked\n"
    assert second.returncode == 0


def test_lock_counts_only_at_its_path_when_a_holder_removed_the_folder(tmp_path: Path) -> None:
    lock = tmp_path / "folder" / "lock"
    with locked(lock):
        lock.unlink()
        lock.parent.rmdir()
        with locked(lock):
            assert lock.exists()
