"""What `mlp experiment` says when a file, an option, a variable or an answer is not what it should be."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ml.cli.app import app
from tests.support.web_server import QuietHandler, served

FLAGS = ("--model", "some_model", "--metric", "conversion", "--baseline", "0.1", "--effect", "0.02")
SPEC = "model: some_model\nprimary: {name: conversion, baseline: 0.1, minimumEffect: 0.02}\n"
TOKEN = "t" * 32


def mlp(*arguments: str, **environment: str) -> Result:
    return CliRunner(env={"MLP_API_URL": "", "MLP_API_TOKEN": "", **environment}).invoke(
        app, ["experiment", *arguments]
    )


def assert_explained(result: Result, says: str) -> None:
    """Check that a person is told what is wrong and what to do."""
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == 1
    assert says in result.stderr
    assert "\nremedy: " in result.stderr


@contextmanager
def answering(body: str) -> Generator[dict[str, str]]:
    """Serve an API that answers everything in the same way; gives the variables that name it."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

    with served(Handler) as server:
        yield {"MLP_API_URL": f"http://127.0.0.1:{server.server_port}", "MLP_API_TOKEN": TOKEN}


# Files and options ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "arguments", "says"),
    [
        ("model: m\nprimary: 5", (), "spec.primary=5: allowed is an object"),
        ("model: m\nprimary: 5", ("--metric", "z"), "spec.primary=5: allowed is an object"),
        (f"{SPEC}ramp: 5", (), "spec.ramp=5: allowed is an object"),
        (f"{SPEC}ramp: 5", ("--ramp-minutes", "5"), "spec.ramp=5: allowed is an object"),
        (f"{SPEC}shadow: [1]", ("--shadow",), "spec.shadow=[1]: allowed is an object"),
        (f"{SPEC}approval: yes", ("--approval",), "spec.approval=true: allowed is an object"),
        ("metadata: 5\nspec: {}", (), "metadata=5: allowed is an object"),
        ("spec: 5", (), "error: spec=5: allowed is an object"),
        ("kind: Pod\nspec: {}", (), "holds a Pod: allowed is an ABTest\n"),
        ("[" * 5000, (), "is nested too deeply"),
        ("model: 2001-99-99", (), "is not YAML: month must be in 1..12"),
    ],
)
def test_field_is_named_when_a_file_holds_something_else(
    tmp_path: Path, content: str, arguments: tuple[str, ...], says: str
) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(content, encoding="utf-8")
    assert_explained(mlp("create", "x", "--dry-run", "-f", str(file), *arguments), says)


@pytest.mark.parametrize("option", ["--days", "--ramp-minutes"])
def test_option_is_named_when_its_number_is_not_finite(option: str) -> None:
    infinite, none = (mlp("create", "x", "--dry-run", *FLAGS, option, number) for number in ("inf", "nan"))
    assert_explained(infinite, f"{option}=inf: allowed is a finite number")
    assert none.exit_code == 2  # the command line itself compares it with the least
    assert option in none.stderr


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("X_Y!", "name='X_Y!': allowed is 1 to 63 of a-z, 0-9 and -"),
        ("x" * 64, "allowed is 1 to 63"),
        ("-x", "allowed is 1 to 63"),
        ("x\n", "allowed is 1 to 63"),
        ("ui", "name='ui': allowed is a name other than assignments, openapi.json, outcomes, ui"),
    ],
)
def test_name_is_refused_when_the_api_would_not_take_it(name: str, says: str) -> None:
    assert_explained(mlp("create", "--dry-run", *FLAGS, "--", name), says)


def test_name_is_taken_when_the_api_would_take_it() -> None:
    for name in ("x", "x" * 63, "4-ever"):
        result = mlp("create", name, "--dry-run", *FLAGS)
        assert result.exit_code == 0, result.output
        assert json.loads(result.output)["name"] == name


@pytest.mark.parametrize("token", ["t\u00f6k\u00e9n", "a b", "a\nb", f"{TOKEN}\u200b"])
def test_variable_is_named_and_its_value_kept_secret_when_it_holds_no_token(token: str) -> None:
    result = mlp("list", MLP_API_URL="http://127.0.0.1:1", MLP_API_TOKEN=token)
    assert_explained(result, "MLP_API_TOKEN holds something other than visible ASCII")
    assert token not in result.output


# Answers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "commands"),
    [
        ("{}", ("list", "show", "watch", "results", "replay")),
        ('{"items": [{}], "nextAfter": null}', ("list", "show", "watch", "results", "replay")),
        ('{"items": [5], "nextAfter": null}', ("list", "replay")),
        ('{"items": 5}', ("list", "replay")),
        ('{"items": [], "nextAfter": "x"}', ("replay",)),
        ('{"items": [{"name": "x", "phase": "Running", "model": "m", "weights": 5}]}', ("list",)),
        ('{"id": "x", "items": [{"position": 1, "event": {"type": "CommandIssued"}}], "nextAfter": null}', ("watch",)),
        ('{"id": "x", "items": [{"position": 1, "event": 5}], "nextAfter": null}', ("watch", "replay")),
    ],
)
def test_remedy_is_an_update_when_an_answer_has_another_shape(body: str, commands: tuple[str, ...]) -> None:
    with answering(body) as environment:
        for command in commands:
            result = mlp(command, *(() if command == "list" else ("x",)), **environment)
            assert_explained(result, "remedy: update `mlp`")


@pytest.mark.parametrize("arguments", [("results", "x", "--format", "json", "-o"), ("replay", "x", "--save")])
def test_file_is_named_when_it_cannot_be_written(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    target = tmp_path / "missing" / "file"
    with answering('{"items": [], "nextAfter": null}') as environment:
        result = mlp(*arguments, str(target), **environment)
    assert_explained(result, f"{target} cannot be written: No such file or directory")
