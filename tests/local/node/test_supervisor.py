"""The supervisor as process 1 of a PID namespace of its own, with small programs instead of a node's processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import paths
from local.node.shutdown import end_everything

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make PID namespaces")

PROGRAM = """
import os, sys
from pathlib import Path
from local.node.services import Service
from local.node.supervisor import Supervisor

folder = Path(sys.argv[1])
Supervisor(
    (
        Service("steady", ("/bin/sh", "-c", "echo steady; exec sleep 1000")),
        Service("crasher", ("/bin/sh", "-c", "echo attempt; exit 3")),
        Service("parent", ("/bin/sh", "-c", "(sh -c 'echo $$; sleep 0.3; exit 5' &); exec sleep 1000")),
        Service("waiting", ("/bin/sh", "-c", "echo never"), needs=("etcd",)),
        Service("absent", ("/does/not/exist",)),
    ),
    dict(os.environ),
    folder,
).run()
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = ["unshare", "--pid", "--net", "--mount", "--fork", "--kill-child", "--mount-proc"]
    process = subprocess.Popen(
        [*command, sys.executable, "-c", PROGRAM, str(tmp_path)],
        cwd=paths.repo_root(),
        stdout=(tmp_path / "supervisor.out").open("w"),
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    process.kill()
    process.wait()


def _eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def _child(process: subprocess.Popen[str]) -> int:
    (pid,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(pid)


def test_processes_are_kept_running_when_they_end(supervisor: subprocess.Popen[str], tmp_path: Path) -> None:
    said = tmp_path / "supervisor.out"
    _eventually(lambda: "crasher ended with 3 (end 2); again in 1 s" in said.read_text(), "a second attempt")
    assert (tmp_path / "crasher.log").read_text().startswith("attempt\nattempt\n")
    assert (tmp_path / "steady.log").read_text() == "steady\n"
    assert said.read_text().count("started steady") == 1
    assert not (tmp_path / "waiting.log").exists(), "what it needs does not answer"
    assert "absent cannot be started" in said.read_text()


def test_no_zombie_remains_when_an_orphan_ends(supervisor: subprocess.Popen[str], tmp_path: Path) -> None:
    log = tmp_path / "parent.log"
    _eventually(lambda: log.exists() and log.read_text() != "", "the orphan says its number")
    orphan = Path(f"/proc/{_child(supervisor)}/root/proc/{log.read_text().strip()}")
    assert orphan.exists()
    _eventually(lambda: not orphan.exists(), "it has ended and was collected")


def test_everything_ends_in_order_when_it_is_asked_to(supervisor: subprocess.Popen[str], tmp_path: Path) -> None:
    _eventually(lambda: "started steady" in (tmp_path / "supervisor.out").read_text(), "start")
    started = time.monotonic()
    os.kill(_child(supervisor), signal.SIGTERM)
    assert supervisor.wait(timeout=20) == 0
    assert time.monotonic() - started < 5
    assert "stopping on signal 15" in (tmp_path / "supervisor.out").read_text()


def test_ending_everything_is_refused_when_not_in_a_namespace() -> None:
    with pytest.raises(RuntimeError, match="refused"):
        end_everything({})
