"""A node's processes among all others: real ones, in real control groups and namespaces."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.node import cgroups, isolation, processes
from local.node.config import NodeConfig, cgroup_of
from local.node.handle import NodeHandle

PROGRAM = "import time; print('up', flush=True); time.sleep(60)"
STRANGER = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
OWN_PIDS = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
"""As isolation.unshare_command, but without a network."""
AS_ROOT_OF_ITS_OWN = ("unshare", "--user", "--map-root-user", "--pid", "--mount", "--fork", "--kill-child")

in_control_groups = pytest.mark.skipif(
    os.geteuid() != 0 or not cgroups.hierarchies(), reason="only root may make control groups, where there are any"
)


@contextmanager
def _running(state_dir: Path, *before: str, group: str | None = None) -> Generator[subprocess.Popen[str]]:
    """Run a process whose command line ends like a supervisor's, started by the command `before`."""
    joining = () if group is None else cgroups.join_command(group)
    command = processes.supervisor_command(sys.executable, state_dir, (3, 4))
    # The system's own: the environment's may lie where a stranger cannot read.
    started = [*joining, *before, "/usr/bin/env", "python3", "-c", PROGRAM, *command[1:]]
    with subprocess.Popen(started, stdout=subprocess.PIPE, text=True, cwd="/") as process:
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "up\n":
                pytest.skip(f"this machine lets nobody run {before[0]} like this")
            yield process
        finally:
            process.kill()


@pytest.fixture
def group(tmp_path: Path) -> Iterator[str]:
    """The control group of a node whose state folder is `tmp_path`."""
    name = cgroup_of(f"unit-{os.getpid()}", tmp_path)
    cgroups.create(name)
    yield name
    cgroups.remove(name)


@in_control_groups
def test_process_is_found_by_its_state_folder_when_others_run_too(tmp_path: Path, group: str) -> None:
    with _running(tmp_path, group=group) as ours, _running(tmp_path / "node", group=group):
        assert processes.find(tmp_path) == [ours.pid]
        assert processes.find_first(tmp_path) is None, "it is in this PID namespace, so it is no first process"
        assert processes.find(tmp_path / "other") == []


@in_control_groups
def test_first_process_is_found_when_it_has_namespaces_of_its_own(tmp_path: Path, group: str) -> None:
    with _running(tmp_path, *isolation.unshare_command(), group=group) as process:
        first = _child(process)
        assert processes.find(tmp_path) == sorted((process.pid, first))
        assert processes.find_first(tmp_path) == first
        handle = NodeHandle(NodeConfig(name="local", state_dir=tmp_path, pause_image="p:1"), first)
        assert handle.run(["sh", "-c", "echo $PPID"]).stdout == "0\n", "it runs inside, where its parent is not"


@in_control_groups
@pytest.mark.parametrize("before", [OWN_PIDS, (*STRANGER, *AS_ROOT_OF_ITS_OWN)], ids=["root", "stranger"])
def test_nothing_is_found_when_only_the_command_line_is_right(
    tmp_path: Path, group: str, before: tuple[str, ...]
) -> None:
    with _running(tmp_path, *before) as process:
        assert (processes.find(tmp_path), processes.find_first(tmp_path)) == ([], None)
        processes.end(tmp_path, patience_seconds=0.2)
        assert process.poll() is None


@in_control_groups
@pytest.mark.parametrize("before", [STRANGER, (*STRANGER, *AS_ROOT_OF_ITS_OWN)], ids=["plain", "root of its own"])
def test_process_of_a_stranger_is_not_found_when_it_came_into_the_group(
    tmp_path: Path, group: str, before: tuple[str, ...]
) -> None:
    with _running(tmp_path, *before, group=group):
        assert (processes.find(tmp_path), processes.find_first(tmp_path)) == ([], None)


@in_control_groups
def test_first_process_is_not_found_when_it_has_a_user_namespace_of_its_own(tmp_path: Path, group: str) -> None:
    with _running(tmp_path, *AS_ROOT_OF_ITS_OWN, group=group):
        assert processes.find_first(tmp_path) is None


@in_control_groups
def test_processes_are_gone_when_they_were_ended(tmp_path: Path, group: str) -> None:
    with _running(tmp_path, group=group) as process:
        processes.end(tmp_path, patience_seconds=5)
        assert process.wait() != 0
        assert processes.find(tmp_path) == []


@in_control_groups
def test_process_is_killed_when_it_is_found_only_after_the_others(
    tmp_path: Path, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _running(tmp_path, group=group) as early, _running(tmp_path, group=group) as late:
        found, answers = processes.find, [[], [early.pid]]

        def find(state_dir: Path) -> list[int]:
            return answers.pop(0) if answers else found(state_dir)

        monkeypatch.setattr(processes, "find", find)
        processes.end(tmp_path, patience_seconds=5)
        assert (early.wait(), late.wait()) == (-signal.SIGKILL, -signal.SIGKILL)


def test_ending_is_no_error_when_nothing_runs(tmp_path: Path) -> None:
    processes.end(tmp_path, patience_seconds=0.1)


def test_start_time_is_right_to_the_second() -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.DEVNULL)
    try:
        difference = datetime.now(UTC) - processes.started_at(process.pid)
        assert timedelta(seconds=-1) <= difference < timedelta(seconds=2.5)
    finally:
        process.kill()
        process.wait()


def _child(process: subprocess.Popen[str]) -> int:
    (pid,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(pid)
