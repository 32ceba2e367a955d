"""What `make up` and its siblings say at the end, good or bad."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from local import __main__ as commands
from local import paths
from local.images import ImageError
from local.lifecycle.instance import Instance
from local.progress import Progress


@pytest.fixture(autouse=True)
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


OUTPUTS: dict[str, Any] = {
    "hosts": {"ml": "ml.example.org", "api": "api.example.org"},
    "gateway": {"address": "127.0.0.1:18080"},
    "models": {"another_model": {}, "research_pattern_predictor": {}},
}


def test_command_line_asks_the_stack_s_own_host_when_the_domain_is_another() -> None:
    words = shlex.split(commands.prediction_command(OUTPUTS))
    assert words[:3] == ["curl", "-H", "Host: ml.example.org"]
    assert json.loads(words[4]) == {"instances": [{"input": "test data"}]}
    assert words[5] == "http://127.0.0.1:18080/v1/models/research_pattern_predictor:predict"


def test_command_line_asks_a_model_that_is_there_when_the_documented_one_is_not() -> None:
    outputs: dict[str, Any] = {**OUTPUTS, "models": {"another_model": {}}}
    assert commands.prediction_command(outputs).endswith("/v1/models/another_model:predict")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ImageError("image ml could not be built: no such package"), "image ml could not be built"),
        (OSError(errno.ENOSPC, "No space left on device", "/state/project"), "make room on that disk"),
        (OSError(errno.EBUSY, "Device or resource busy", "/sys/fs/cgroup/x"), "resource busy: '/sys/fs/cgroup/x'"),
        (PermissionError(errno.EACCES, "Permission denied", "/state"), "Permission denied: '/state'"),
        (TimeoutError("processes [7] of an earlier command do not end"), "processes [7] of an earlier command"),
        (subprocess.CalledProcessError(1, ["nsenter", "ctr"], stderr="the daemon is away\n"), "the daemon is away"),
    ],
)
def test_error_is_a_message_when_a_step_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, error: Exception, says: str
) -> None:
    def fail(_instance: Instance, _progress: Progress) -> None:
        raise error

    monkeypatch.setenv("MLP_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(commands.platform, "stop", fail)
    result = CliRunner().invoke(commands.app, ["stop"])
    assert result.exit_code == 1
    assert says in result.output
    assert not isinstance(result.exception, type(error))


def test_error_is_not_hidden_when_it_is_a_fault_of_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    def fail(_instance: Instance, _progress: Progress) -> None:
        raise KeyError("gone")

    monkeypatch.setenv("MLP_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(commands.platform, "stop", fail)
    assert isinstance(CliRunner().invoke(commands.app, ["stop"]).exception, KeyError)


def test_message_says_who_is_needed_when_somebody_else_than_root_runs_a_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = CliRunner().invoke(commands.app, ["stop"])
    assert result.exit_code == 1
    assert "error: not running as root\n    remedy: run it as root" in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["stop", "down"])
def test_platform_can_be_ended_when_its_ports_are_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    ended: list[Path] = []

    def end(instance: Instance, _progress: Progress) -> None:
        ended.append(instance.state_dir)

    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "ports.json").touch()
    monkeypatch.setenv("MLP_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(commands.platform, command, end)
    assert CliRunner().invoke(commands.app, [command]).exit_code == 0
    assert ended == [tmp_path / "local"]
    refused = CliRunner().invoke(commands.app, ["up"])
    assert (refused.exit_code, "ports.json: does not hold" in refused.output) == (1, True)


def test_every_command_exists_when_the_makefile_calls_it() -> None:
    called = re.findall(r"-m local (\w+)", (paths.repo_root() / "Makefile").read_text())
    group = typer.main.get_command(commands.app)
    assert set(called) == set(getattr(group, "commands", {}))
