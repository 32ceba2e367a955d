from __future__ import annotations

import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.node import processes

MARK = "import time; time.sleep(60)"


def _run(state_dir: Path, *extra: str) -> subprocess.Popen[bytes]:
    """Start a process whose command line ends like a supervisor's."""
    command = processes.supervisor_command(sys.executable, state_dir, (3, 4))
    process = subprocess.Popen([sys.executable, "-c", MARK, *command[1:], *extra])
    # The kernel shows the command line a moment after the program was started.
    while process.pid not in processes.find(state_dir):
        time.sleep(0.01)
    return process


def test_process_is_found_by_its_state_folder_when_others_run_too(tmp_path: Path) -> None:
    ours, theirs = _run(tmp_path / "one"), _run(tmp_path / "one-more")
    try:
        assert processes.find(tmp_path / "one") == [ours.pid]
        assert processes.find(tmp_path / "two") == []
        assert processes.find_first(tmp_path / "one") is None, "it is in this PID namespace, so it is no first process"
    finally:
        for process in (ours, theirs):
            process.kill()
            process.wait()


def test_processes_are_gone_when_they_were_ended(tmp_path: Path) -> None:
    process = _run(tmp_path)
    processes.end(tmp_path, patience_seconds=5)
    assert process.wait() != 0
    assert processes.find(tmp_path) == []


def test_process_is_killed_when_it_is_found_only_after_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early, late = _run(tmp_path), _run(tmp_path)
    found, answers = processes.find, [[], [early.pid]]

    def find(state_dir: Path) -> list[int]:
        return answers.pop(0) if answers else found(state_dir)

    monkeypatch.setattr(processes, "find", find)
    processes.end(tmp_path, patience_seconds=5)
    assert (early.wait(), late.wait()) == (-signal.SIGKILL, -signal.SIGKILL)


def test_ending_is_no_error_when_nothing_runs(tmp_path: Path) -> None:
    processes.end(tmp_path, patience_seconds=0.1)


def test_start_time_is_right_to_the_second() -> None:
    process = subprocess.Popen([sys.executable, "-c", MARK])
    try:
        difference = datetime.now(UTC) - processes.started_at(process.pid)
        assert timedelta(seconds=-1) <= difference < timedelta(seconds=2.5)
    finally:
        process.kill()
        process.wait()
