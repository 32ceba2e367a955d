"""Engines that outlive their command: they are found by what they are, and end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.lifecycle import engines
from local.lifecycle.instance import Instance

_STUBBORN = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(name="engines", state_dir=tmp_path, api_port=16443, gateway_port=8080)


@contextmanager
def _process(*arguments: str) -> Generator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _STUBBORN, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def test_engine_is_found_when_it_works_on_the_project(instance: Instance) -> None:
    with _process("--cwd", str(instance.project_dir)) as process:
        assert engines.find(instance) == [process.pid]


def test_plugin_is_found_when_it_lies_in_the_instance_s_folder(instance: Instance) -> None:
    with _process(str(engines.provider_dir(instance) / "pulumi-resource-kubernetes")) as process:
        assert engines.find(instance) == [process.pid]


def test_process_is_left_alone_when_it_only_reads_the_project(instance: Instance) -> None:
    with _process(str(instance.project_dir / "Pulumi.yaml")):
        assert engines.find(instance) == []


def test_engine_of_another_instance_is_left_alone(instance: Instance, tmp_path: Path) -> None:
    other = Instance(name="other", state_dir=tmp_path / "other", api_port=1, gateway_port=2)
    with _process("--cwd", str(other.project_dir)) as process:
        engines.end(instance, patience_seconds=0)
        assert process.poll() is None


def test_engine_is_killed_when_it_does_not_stop_by_itself(instance: Instance) -> None:
    with _process("--cwd", str(instance.project_dir)) as process:
        engines.end(instance, patience_seconds=0.2)
        assert process.wait(5) == -signal.SIGKILL


def test_engine_is_not_killed_when_it_stops_in_time(instance: Instance) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(0.5)", "--cwd", str(instance.project_dir)]
    with subprocess.Popen(command) as process:
        engines.end(instance, patience_seconds=30)
        assert process.wait(5) == 0


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="there is no setpriv on PATH")
def test_kernel_tells_the_engine_when_its_command_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "told"
    engine = (
        "import pathlib, signal, sys, time\n"
        "def stop(*_): pathlib.Path(sys.argv[1]).write_text('told'); sys.exit()\n"
        "signal.signal(signal.SIGINT, stop); print('up', flush=True); time.sleep(60)"
    )
    watched = ["setpriv", "--pdeathsig=INT", "--", sys.executable, "-c", engine, str(told)]
    command = f"import subprocess; subprocess.run({watched!r})"
    with subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        parent.kill()
    deadline = time.monotonic() + 10
    # The file is there a moment before what is written into it.
    while not (told.exists() and told.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert told.read_text() == "told"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_process_of_another_user_is_left_alone_when_its_command_line_is_an_engine_s(instance: Instance) -> None:
    stranger = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", "/usr/bin/env", "python3", "-c"]
    command = [*stranger, _STUBBORN, "--cwd", str(instance.project_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd="/") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        engines.end(instance, patience_seconds=0)
        assert process.poll() is None
        process.kill()
