"""`mlp experiment` against the real API on a real PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ml.cli.app import app
from ml.cli.experiment import creation
from ml.cli.experiment.creation import Asked
from ml.cli.experiment.replaying import Replayed
from ml.events.decisions import ReplayedDecision
from tests.ml.api.page.simulated import MODEL, START, Simulated, simulate
from tests.ml.cli.experiment.live import TOKENS, LiveApi
from tests.unit.cli.platform import OUTPUTS, FakePlatform, serve

pytestmark = pytest.mark.slow
FLAGS = ("--model", MODEL, "--metric", "conversion", "--baseline", "0.1", "--effect", "0.02", "--users-per-day", "9000")


def mlp(api: LiveApi, *arguments: str, scope: str = "decide", stdin: str | None = None) -> Result:
    environment = {"MLP_API_URL": api.url, "MLP_API_TOKEN": TOKENS.get(scope, scope), "COLUMNS": "160"}
    return CliRunner(env=environment).invoke(app, ["experiment", *arguments], input=stdin)


# Reading --------------------------------------------------------------------------------------------------------------


def test_list_shows_state_and_traffic_when_there_are_experiments(api: LiveApi) -> None:
    result = mlp(api, "list", scope="read")
    assert result.exit_code == 0, result.output
    assert re.search(r"new-ranking +Running +content_quality_model +stable 50 %, candidate-a 50 %", result.output)
    assert re.search(r"shorter-prompt +Promoted", result.output)
    filtered = json.loads(mlp(api, "list", "--phase", "Promoted", "--json", scope="read").output)
    assert [item["name"] for item in filtered] == ["shorter-prompt"]
    assert len(json.loads(mlp(api, "list", "--limit", "1", "--json").output)) == 1


def test_show_draws_the_interval_and_says_what_is_known_when_it_runs(api: LiveApi, running: Simulated) -> None:
    result = mlp(api, "show", "new-ranking", scope="read")
    assert result.exit_code == 0, result.output
    results = running.results()
    assert re.search(r"Running, day \d+ of 14: not decided, 4\d % of the planned sample", result.output)
    assert "conversion: candidate-a minus stable" in result.output
    assert "needed for promotion" in result.output
    assert "Sample ratio: Sound" in result.output
    assert "shown to be safe" in result.output
    primary = results.of_role("primary")[0]
    assert f"{primary.n_control:,} / {primary.n_treatment:,}" in result.output
    assert json.loads(mlp(api, "show", "new-ranking", "--json").output)["phase"] == "Running"


def test_watch_tells_the_whole_story_and_ends_when_the_experiment_has_ended(api: LiveApi) -> None:
    result = mlp(api, "watch", "shorter-prompt", scope="read")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "created by ada: shorter-prompt on content_quality_model" in lines[0]
    assert any("weights in force: stable 95.5 %, candidate-a 4.5 %" in line for line in lines)
    assert any("decision: promote (candidate-a improves conversion)" in line for line in lines)
    assert any("grace asked for pause: gateway upgrade" in line for line in lines)
    assert not any("no boundary is crossed yet" in line for line in lines)


def test_two_lines_when_there_is_no_such_experiment(api: LiveApi) -> None:
    result = mlp(api, "show", "none")
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert "none" in first
    assert second == "remedy: see `mlp experiment list`"


def test_markdown_holds_tables_and_intervals_when_reported(api: LiveApi) -> None:
    text = mlp(api, "results", "new-ranking").output
    for part in ("# Experiment new-ranking", "## Guardrails", "| conversion | candidate-a | decides |", "## Methods"):
        assert part in text
    plot = text.split("```")[1]
    assert len([line for line in plot.splitlines() if "o" in line and "-" in line]) == 12


def test_html_is_one_file_without_anything_from_outside_when_reported(api: LiveApi, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    result = mlp(api, "results", "shorter-prompt", "--format", "html", "-o", str(target))
    assert result.exit_code == 0, result.output
    text = target.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "Promoted: candidate-a is the new champion" in text
    assert text.count("<svg") == 2
    assert not re.search(r"\b(src|href)=", text)
    assert "<script" not in text


def test_json_is_what_the_api_says_when_reported(api: LiveApi, running: Simulated) -> None:
    document = json.loads(mlp(api, "results", "new-ranking", "--format", "json").output)
    assert [item["nTreatment"] for item in document["evidence"]] == [e.n_treatment for e in running.results().evidence]
    assert len(document["timeline"]) == len(running.results().timeline)


# Replay ---------------------------------------------------------------------------------------------------------------


def test_every_decision_is_derived_again_when_nothing_was_touched(
    api: LiveApi, ended: Simulated, tmp_path: Path
) -> None:
    saved = tmp_path / "events.jsonl"
    result = mlp(api, "replay", "shorter-prompt", "--save", str(saved), scope="read")
    assert result.exit_code == 0, result.output
    assert f"{len(ended.decisions)} decisions in {len(ended.events)} events derived again" in result.output
    last = [event for event in ended.events if event.type == "DecisionMade"][-1]
    assert last.type == "DecisionMade"
    assert last.hash in result.output
    assert len(saved.read_text(encoding="utf-8").splitlines()) == len(ended.events)


@pytest.mark.parametrize(
    ("field", "value"),
    [("decision", "promote"), ("input_hash", "0" * 64), ("previous_hash", "1" * 64)],
)
def test_first_difference_is_told_when_a_decision_was_changed(api: LiveApi, field: str, value: str) -> None:
    forged = simulate(f"forged-{field.replace('_', '-')}", looks=12)
    position, made = next(
        (index, event) for index, event in enumerate(forged.events) if event.type == "DecisionMade" and index > 12
    )
    assert made.type == "DecisionMade"
    changed: Any = {**made.decision, "action": value} if field == "decision" else value
    events = (*forged.events[:position], made.model_copy(update={field: changed}), *forged.events[position + 1 :])
    api.put(replace(forged, events=events))
    result = mlp(api, "replay", forged.id, scope="read")
    assert result.exit_code == 1, result.output
    assert f"first difference at position {position + 1}" in result.output
    data = json.loads(mlp(api, "replay", forged.id, "--json").output)
    assert data["ok"] is False
    assert data["different"][0]["position"] == position + 1


def test_another_rule_is_named_when_chain_and_inputs_of_different_decisions_are_sound() -> None:
    item = ReplayedDecision(
        position=7, at=START, action="roll back", identical=False, chain_ok=True, inputs_ok=True, problems=("action",)
    )
    replayed = Replayed(name="old", events=9, decisions=(item,), newest_hash="0" * 64)
    assert "another version of the platform may have decided by another rule" in replayed.as_lines()[-1]
    forged = replace(replayed, decisions=(item, replace(item, chain_ok=False)))
    assert "another" not in "\n".join(forged.as_lines())


# Commands -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["pause", "resume", "promote", "rollback", "stop"])
def test_command_is_recorded_with_who_and_why_when_issued(api: LiveApi, action: str) -> None:
    name = f"commanded-{action}"
    api.put(simulate(name, looks=2, start=START + 5))
    result = mlp(api, action, name, "--why", "because of ticket 17")
    assert result.exit_code == 0, result.stderr
    document = json.loads(mlp(api, "replay", name, "--json").output)
    assert document["ok"] is True
    assert document["events"] == len(simulate(name, looks=2).events) + 1


def test_command_is_refused_with_a_remedy_when_it_cannot_be(api: LiveApi) -> None:
    ended = mlp(api, "stop", "shorter-prompt", "--why", "x")
    assert ended.exit_code == 1
    assert "Promoted" in ended.stderr
    assert "see `mlp experiment show` for its state" in ended.stderr
    scope = mlp(api, "stop", "new-ranking", "--why", "x", scope="read")
    assert scope.exit_code == 1
    assert "use one with the scope that is named" in scope.stderr
    token = mlp(api, "stop", "new-ranking", "--why", "x", scope="x" * 40)
    assert "the token is not valid" in token.stderr
    arm = mlp(api, "promote", "new-ranking", "--why", "x", "--arm", "nobody")
    assert re.search(r"\n  arm='nobody'", arm.stderr)
    why = mlp(api, "rollback", "new-ranking")
    assert why.exit_code == 2
    assert "--why" in why.stderr


# Creating -------------------------------------------------------------------------------------------------------------


def test_experiment_is_made_when_flags_say_enough(api: LiveApi) -> None:
    result = mlp(api, "create", "from-flags", *FLAGS, "--candidate", "candidate-a=20", "--days", "30", "--approval")
    assert result.exit_code == 0, result.stderr
    spec = api.cluster.made["from-flags"]["spec"]
    assert spec["arms"] == [
        {"slot": "stable", "weightPercent": 80.0},
        {"slot": "candidate-a", "weightPercent": 20.0},
    ]
    assert spec["durationSeconds"] == 30 * 86_400
    assert "at most 30 days" in result.output
    assert spec["approval"]["required"] is True
    assert spec["primary"]["minimumEffect"] == 0.02


def test_options_win_when_a_file_is_given_too(api: LiveApi, tmp_path: Path) -> None:
    file = tmp_path / "test.yaml"
    file.write_text(
        "apiVersion: mlplatform.dev/v1alpha1\nkind: ABTest\nmetadata: {name: from-file}\n"
        f"spec:\n  model: {MODEL}\n  primary: {{name: conversion, baseline: 0.1, minimumEffect: 0.02}}\n"
        "  expectedUnitsPerDay: 9000\n",
        encoding="utf-8",
    )
    result = mlp(api, "create", "-f", str(file), "--effect", "0.03")
    assert result.exit_code == 0, result.stderr
    assert api.cluster.made["from-file"]["spec"]["primary"]["minimumEffect"] == 0.03
    again = mlp(api, "create", "-f", str(file))
    assert again.exit_code == 1
    assert "from-file" in again.stderr


@pytest.mark.parametrize("expected", [900, 0])
def test_questions_are_asked_when_a_person_is_there(monkeypatch: pytest.MonkeyPatch, expected: int) -> None:
    answers = iter(["asked-for", MODEL, "candidate-a", "rating", 3.5, 0.1, 1.2, expected, 10.0])

    def answer(question: str, **_: object) -> object:
        assert question
        return next(answers)

    def agree(question: str, *, default: bool) -> bool:
        assert question == "Is more rating better?"
        return default

    monkeypatch.setattr(creation.typer, "prompt", answer)
    monkeypatch.setattr(creation.typer, "confirm", agree)
    wanted = creation.checked_request(Asked(), None, interactive=True)
    assert wanted["name"] == "asked-for"
    assert wanted["spec"]["primary"] == {
        "name": "rating",
        "better": "increase",
        "baseline": 3.5,
        "minimumEffect": 0.1,
        "standardDeviation": 1.2,
    }
    assert wanted["spec"]["durationSeconds"] == 864_000
    assert wanted["spec"].get("expectedUnitsPerDay") == (expected or None)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("x",), "missing: --model, --metric, --baseline, --effect"),
        ((*FLAGS,), "missing: name"),
        (("x", *FLAGS, "--candidate", "candidate-a=lots"), "allowed is SLOT or SLOT=PERCENT"),
        (("x", *FLAGS, "--candidate", "candidate-a=120"), "spec.arms[0].weightPercent"),
        (("x", *FLAGS, "--baseline", "7"), "spec.primary"),
        (("x", "-f", "/nonexistent.yaml"), "cannot be read"),
    ],
)
def test_nothing_is_sent_when_the_request_is_wrong(api: LiveApi, arguments: tuple[str, ...], says: str) -> None:
    before = dict(api.cluster.made)
    result = mlp(api, "create", *arguments)
    assert result.exit_code == 1
    assert says in result.stderr
    assert api.cluster.made == before


def test_each_field_is_named_when_the_platform_refuses(api: LiveApi) -> None:
    result = mlp(api, "create", "refused", *(*FLAGS[:1], "no_such_model", *FLAGS[2:]))
    assert result.exit_code == 1
    assert re.search(r"\n  spec\.model.*no_such_model", result.stderr)
    assert "refused" not in api.cluster.made


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[1, 2]", "allowed is an object"),
        ("{a: b: c}", "is not YAML"),
        ("kind: Pod\nspec: {}", "holds a Pod"),
        ("model: 1\nprimary: {name: a, baseline: 0.1, minimumEffect: 0.1}\nextra: 1", "spec.extra"),
    ],
)
def test_file_is_refused_when_it_is_no_experiment(api: LiveApi, tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(content, encoding="utf-8")
    result = mlp(api, "create", "x", "-f", str(file))
    assert result.exit_code == 1
    assert says in result.stderr


# Finding the API ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"MLP_API_URL": "ftp://x", "MLP_API_TOKEN": "t"}, "allowed is an address with http"),
        ({"MLP_API_URL": "http://127.0.0.1:1"}, "MLP_API_TOKEN is not"),
        ({"MLP_API_URL": "http://127.0.0.1:1", "MLP_API_TOKEN": "t"}, "the API does not answer at http://127.0.0.1:1"),
    ],
)
def test_error_says_what_to_set_when_the_api_is_not_found(environment: dict[str, str], says: str) -> None:
    result = CliRunner(env={"MLP_API_URL": "", "MLP_API_TOKEN": "", **environment}).invoke(app, ["experiment", "list"])
    assert result.exit_code == 1
    assert says in result.stderr


def test_nothing_heavy_is_imported_when_only_help_is_wanted() -> None:
    heavy = ("pydantic", "httpx", "rich.console", "numpy", "scipy", "plotext", "yaml", "fastapi")
    code = f"import ml.cli, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "[]"


def test_api_and_token_come_from_the_stack_when_nothing_else_is_set(
    api: LiveApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("MLP_API_URL", "MLP_API_TOKEN", "MLP_INSTANCE", "MLP_STACK", "MLP_CONTEXT", "KUBECONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MLP_STATE_DIR", str(tmp_path / "state"))
    with serve() as web:
        platform = FakePlatform(tmp_path, web)
    gateway = {**OUTPUTS["gateway"], "address": api.url.removeprefix("http://")}
    platform.set_outputs(gateway=gateway, api={"tokenSecret": "api-tokens"})
    platform.secret("api-tokens", **TOKENS)
    result = CliRunner().invoke(app, ["experiment", "list"])
    assert result.exit_code == 0, result.stderr
    assert "new-ranking" in result.output
    platform.set_outputs(gateway=gateway, api=None)
    without = CliRunner().invoke(app, ["experiment", "list"])
    assert without.exit_code == 1
    assert "the stack has no API" in without.stderr


def test_screen_is_left_when_the_experiment_has_ended(api: LiveApi) -> None:
    """On a real terminal: `show` stays up to date, and an ended experiment needs no update."""
    environment = {**os.environ, "MLP_API_URL": api.url, "MLP_API_TOKEN": TOKENS["read"], "TERM": "xterm"}
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "ml.cli", "experiment", "show", "shorter-prompt"]
    process = subprocess.Popen(command, env=environment, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    shown = bytearray()
    with contextlib.suppress(OSError):  # Linux says so when the other side has ended
        while part := os.read(leader, 65_536):
            shown += part
    os.close(leader)
    assert process.wait(timeout=30) == 0
    assert "Promoted: candidate-a is the new champion" in shown.decode()
