"""The commands from the outside: what they print, what they run and how they end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ml.cli.app import app
from tests.unit.cli.platform import OUTPUTS, FakePlatform

MODEL = "content_quality_model"
COMPONENTS = (
    *("metadata-db", "database-exporter", "object-store", "tracking-server", "api", "prometheus"),
    *("controller", "gateway", "istiod"),
)
PREDICT = f"/v1/models/{MODEL}:predict"


def mlp(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_import_brings_in_nothing_heavy_when_only_help_is_wanted() -> None:
    heavy = ("boto3", "psycopg", "httpx", "rich", "pulumi", "mlflow", "kopf", "numpy")
    code = f"import ml.cli, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_names_every_command_when_asked() -> None:
    result = mlp("--help")
    assert result.exit_code == 0
    for command in ("status", "verify", "predict", "open", "logs", "train", "render", "review", "promote", "delivery"):
        assert re.search(rf"\b{command}\b", result.output)


@pytest.mark.parametrize(
    "command", [("status",), ("verify",), ("predict", MODEL, "text"), ("open",), ("logs", "gateway"), ("train",)]
)
def test_two_lines_and_exit_code_1_when_there_is_no_platform(platform: FakePlatform, command: tuple[str, ...]) -> None:
    platform.connection_file.unlink()
    result = mlp(*command)
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert first.startswith("error: no platform `local` found")
    assert second == "remedy: run `make up`"


def test_error_says_so_when_the_stack_never_came_up(platform: FakePlatform) -> None:
    platform.rule("pulumi", "output", stdout="{}")
    result = mlp("open")
    assert result.exit_code == 1
    assert "has no outputs" in result.stderr


def test_error_repeats_pulumi_s_last_words_when_it_fails(platform: FakePlatform) -> None:
    platform.rule("pulumi", "output", stderr="warning: x\nerror: no stack named 'local' found\n", exit_code=255)
    result = mlp("open")
    assert result.exit_code == 1
    assert "no stack named 'local' found" in result.stderr


def test_error_names_the_tool_when_it_is_not_installed(platform: FakePlatform) -> None:
    (platform.folder / "bin" / "pulumi").unlink()
    content = json.loads(platform.connection_file.read_text(encoding="utf-8"))
    content["environment"]["PATH"] = str(platform.folder / "bin")
    platform.connection_file.write_text(json.dumps(content), encoding="utf-8")
    result = CliRunner(env={"PATH": ""}).invoke(app, ["open"])
    assert result.exit_code == 1
    assert "`pulumi` is not on PATH" in result.stderr


# open ---------------------------------------------------------------------------------------------------------------


def test_open_prints_commands_and_no_secret_when_not_asked_for_them(platform: FakePlatform) -> None:
    platform.secret("metadata-db-admin", username="postgres", password="very-secret")
    result = mlp("open")
    assert result.exit_code == 0
    port = platform.web.port
    curl = (
        'curl -H \'Host: ml.example.org\' -d \'{"instances": [{"input": "test data"}]}\' '
        f"http://127.0.0.1:{port}{PREDICT}"
    )
    assert curl in result.output
    assert f"http://mlflow.example.org:{port}/" in result.output
    assert "127.0.0.1 mlflow.example.org minio.example.org ml.example.org api.example.org" in result.output
    assert (
        "get secret --namespace research metadata-db-admin -o 'jsonpath={.data.password}' | base64 -d" in result.output
    )
    assert "very-secret" not in result.output
    assert platform.calls("kubectl") == []


def test_commands_name_kubectl_s_folder_when_the_shell_does_not_know_it(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert f"{platform.folder}/bin/kubectl port-forward" in mlp("open").output


def test_open_prints_secrets_when_asked_for_them(platform: FakePlatform) -> None:
    platform.secret("metadata-db-admin", username="postgres", password="very-secret")
    platform.secret("object-store-admin", username="root", password="also-secret")
    platform.secret("api-tokens", read="r-secret", write="w-secret", decide="d-secret")
    result = mlp("open", "--show-secrets")
    assert result.exit_code == 0
    assert "  password: very-secret\n" in result.output
    assert "  password: also-secret" in result.output
    assert "  decide: d-secret" in result.output


def test_open_gives_data_when_asked_for_json(platform: FakePlatform) -> None:
    data = json.loads(mlp("open", "--json").output)
    assert data["gateway"] == f"127.0.0.1:{platform.web.port}"
    assert [entry["name"] for entry in data["addresses"]] == [
        "MLflow",
        "object store console",
        "experiments page",
        "API, described in OpenAPI",
        f"model {MODEL}",
    ]
    assert all(entry["values"] == {} for entry in data["credentials"])


# predict ------------------------------------------------------------------------------------------------------------


def test_predict_goes_through_the_gateway_with_host_and_user_when_no_slot_is_named(platform: FakePlatform) -> None:
    platform.web.answers[("POST", "ml.example.org", PREDICT)] = (200, {"predictions": [{"score": 0.5}]})
    result = mlp("predict", MODEL, "some text", "--user", "ada")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"score": 0.5}
    assert "from slot stable" in result.stderr
    assert platform.web.requests[0][2]["x-user-id"] == "ada"
    assert platform.calls("kubectl") == []


def test_predict_goes_past_the_gateway_when_a_slot_is_named(platform: FakePlatform) -> None:
    platform.web.answers[("POST", "localhost", PREDICT)] = (200, {"predictions": [{"score": 0.5}]})
    platform.tunnel("deployment/content-quality-model-candidate-a", 8501)
    result = mlp("predict", "content-quality-model", "some text", "--slot", "candidate-a", "--json")
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert (data["model"], data["slot"], data["prediction"]) == (MODEL, "candidate-a", {"score": 0.5})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("predict", "no-such", "text"), f"choose one of: {MODEL}"),
        (("predict", MODEL, "text", "--slot", "blue"), "choose one of: stable, candidate-a"),
        (
            ("logs", "postgres"),
            f"choose one of: {', '.join(COMPONENTS)}, {MODEL}, {MODEL}/stable, {MODEL}/candidate-a",
        ),
    ],
)
@pytest.mark.usefixtures("platform")
def test_allowed_names_are_listed_when_one_is_unknown(arguments: tuple[str, ...], says: str) -> None:
    result = mlp(*arguments)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[1] == f"remedy: {says}"


@pytest.mark.parametrize("body", [{"predictions": []}, {"predictions": [1, 2]}, ["no"], {}])
def test_predict_fails_when_the_answer_is_no_prediction(platform: FakePlatform, body: Any) -> None:
    platform.web.answers[("POST", "ml.example.org", PREDICT)] = (200, body)
    result = mlp("predict", MODEL, "text")
    assert result.exit_code == 1
    assert "is no prediction" in result.stderr


def test_predict_quotes_the_server_when_it_refuses(platform: FakePlatform) -> None:
    platform.web.answers[("POST", "ml.example.org", PREDICT)] = (400, {"error": "Missing 'inputs' key"})
    result = mlp("predict", MODEL, "text")
    assert result.exit_code == 1
    assert "400" in result.stderr
    assert "Missing 'inputs' key" in result.stderr


def test_predict_says_where_it_asked_when_nobody_answers(platform: FakePlatform) -> None:
    platform.set_outputs(gateway={**OUTPUTS["gateway"], "address": "127.0.0.1:1"})
    result = mlp("predict", MODEL, "text")
    assert result.exit_code == 1
    assert "the gateway does not answer at http://127.0.0.1:1" in result.stderr


# logs ---------------------------------------------------------------------------------------------------------------


def test_logs_of_a_model_come_from_all_its_slots_when_no_slot_is_named(platform: FakePlatform) -> None:
    for slot in ("stable", "candidate-a"):
        body = {"spec": {"selector": {"matchLabels": {"slot": slot, "app": "server"}}}}
        platform.rule("kubectl", "get", f"content-quality-model-{slot}", stdout=json.dumps(body))
    platform.rule("kubectl", "logs", stdout="")
    result = mlp("logs", MODEL, "--tail", "7", "-f")
    assert result.exit_code == 0, result.stderr
    commands = [call["arguments"] for call in platform.calls("kubectl") if call["arguments"][0] == "logs"]
    assert {command[3] for command in commands} == {
        "--selector=app=server,slot=stable",
        "--selector=app=server,slot=candidate-a",
    }
    for command in commands:
        assert {"--tail=7", "--follow", "--all-containers", "--prefix"} <= set(command)


def test_help_of_logs_names_every_component_when_asked() -> None:
    shown = re.findall(r"[a-z-]+", CliRunner(env={"COLUMNS": "200"}).invoke(app, ["logs", "--help"]).output)
    assert [name for name in COMPONENTS if name not in shown] == []


@pytest.mark.parametrize("command", [("train",), ("pipeline", "run")])
def test_help_says_what_becomes_of_new_versions_when_training_is_forced(command: tuple[str, ...]) -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*command, "--help"]).output
    assert "their new versions become candidate-a" in " ".join(shown.split())


def test_logs_end_with_kubectl_s_exit_code_when_it_fails(platform: FakePlatform) -> None:
    body = {"spec": {"selector": {"matchLabels": {"app": "istiod"}}}}
    platform.rule("kubectl", "get", "deployment", "istiod", stdout=json.dumps(body))
    platform.rule("kubectl", "logs", exit_code=3)
    assert mlp("logs", "istiod").exit_code == 3


def test_context_is_passed_on_when_one_is_named(platform: FakePlatform) -> None:
    platform.rule("kubectl", "get", exit_code=1, stderr='error: context "blue" does not exist\n')
    result = mlp("--context", "blue", "logs", "istiod")
    assert result.exit_code == 1
    assert 'context "blue" does not exist' in result.stderr
    assert platform.calls("kubectl")[0]["arguments"][0] == "--context=blue"


def test_remedy_is_make_up_when_the_cluster_does_not_answer(platform: FakePlatform) -> None:
    refused = "The connection to the server 127.0.0.1:16443 was refused - did you specify the right host or port?\n"
    platform.rule("kubectl", "get", exit_code=1, stderr=refused)
    result = mlp("status")
    assert result.exit_code == 1
    assert "the cluster does not answer" in result.stderr
    assert "make up" in result.stderr
