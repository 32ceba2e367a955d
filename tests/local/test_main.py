"""What `make up` and its siblings say at the end, good or bad."""

from __future__ import annotations

import errno
import json
import re
import shlex
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from local import __main__ as commands
from local import paths
from local.images import ImageError
from local.lifecycle.instance import Instance
from local.progress import Progress

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
        raise FileNotFoundError(errno.ENOENT, "No such file", "/gone")

    monkeypatch.setenv("MLP_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(commands.platform, "stop", fail)
    assert isinstance(CliRunner().invoke(commands.app, ["stop"]).exception, FileNotFoundError)


def test_every_command_exists_when_the_makefile_calls_it() -> None:
    called = re.findall(r"-m local (\w+)", (paths.repo_root() / "Makefile").read_text())
    group = typer.main.get_command(commands.app)
    assert set(called) == set(getattr(group, "commands", {}))
