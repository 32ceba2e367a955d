"""`mlp pipeline` over a service that speaks Kubeflow's API. That the real one runs pipelines is not shown here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from ml.cli.app import app
from ml.cli.pipeline import compiling, running
from tests.unit.cli.pipelines import FakeRun, PipelinesService, serve_pipelines
from tests.unit.cli.platform import FakePlatform

ALIAS = "/api/2.0/mlflow/registered-models/alias?name=content_quality_model&alias=champion"
GOLDEN = Path(__file__).parents[2] / "ml" / "pipelines" / "golden" / "train_models.yaml"
OUTPUT = {
    "namespace": "kubeflow",
    "service": "ml-pipeline",
    "port": 8888,
    "url": "http://ml-pipeline.kubeflow:8888",
    "trackingUrl": "http://tracking-server.research:5000",
}
STEPS = ("prepare-data", "train-model", "evaluate-model", "export-model", "register-model")


@pytest.fixture
def service(platform: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> Iterator[PipelinesService]:
    """Let the platform have a pipeline service that answers at once."""
    with serve_pipelines() as found:
        platform.set_outputs(pipelines=OUTPUT)
        line = f"Forwarding from 127.0.0.1:{found.port} -> 8888\n"
        platform.rule("kubectl", "port-forward", "service/ml-pipeline", ":8888", "kubeflow", stdout=line, stays=True)
        monkeypatch.setattr(running, "_POLL_SECONDS", 0.01)
        yield found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the compiled pipeline from its golden file; what compiles is shown by the first test."""

    async def compiled(**_: object) -> dict[str, Any]:
        return specification()

    monkeypatch.setattr(running, "compile_pipeline", compiled)


def specification() -> dict[str, Any]:
    return yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["pipeline", "run", *arguments])


def test_pipeline_is_compiled_submitted_and_followed_when_there_is_something_to_train(
    platform: FakePlatform, service: PipelinesService
) -> None:
    result = run()
    assert result.exit_code == 0, result.stderr
    (started,) = service.runs
    assert f"{started.name} (run-1) started for content_quality_model" in result.output
    for step in STEPS:
        assert f"{step} content-quality-model: succeeded" in result.output
    assert "driver" not in result.output
    assert result.output.endswith(": done\n")
    executors = started.specification["deploymentSpec"]["executors"]
    assert len(executors) == len(STEPS)
    for executor in executors.values():
        assert executor["container"]["image"] == "localhost/mlplatform/training:1"
        variables = {entry["name"]: entry["value"] for entry in executor["container"]["env"]}
        assert variables["MLFLOW_TRACKING_URI"] == "http://tracking-server.research:5000"


def test_nothing_is_started_when_every_model_has_a_champion(platform: FakePlatform, service: PipelinesService) -> None:
    platform.web.answers[("GET", "mlflow.example.org", ALIAS)] = (200, {"model_version": {"version": "3"}})
    result = run()
    assert result.exit_code == 0, result.stderr
    assert "nothing to train" in result.output
    assert service.runs == []


@pytest.mark.usefixtures("quick")
def test_champions_are_trained_anew_when_forced(platform: FakePlatform, service: PipelinesService) -> None:
    platform.web.answers[("GET", "mlflow.example.org", ALIAS)] = (200, {"model_version": {"version": "3"}})
    assert run("--force").exit_code == 0
    assert len(service.runs) == 1


def test_running_run_is_joined_when_run_is_called_again(platform: FakePlatform, service: PipelinesService) -> None:
    service.runs.append(FakeRun(id="run-9", name="train-models yesterday", specification=specification(), looks=3))
    result = run("--force")
    assert result.exit_code == 0, result.stderr
    assert "train-models yesterday (run-9) is already going on, joining it" in result.output
    assert len(service.runs) == 1


@pytest.mark.usefixtures("quick")
def test_exit_code_is_1_and_the_step_is_named_when_a_run_fails(
    platform: FakePlatform, service: PipelinesService
) -> None:
    service.fails_at = "evaluate-model content-quality-model"
    result = run()
    assert result.exit_code == 1
    assert "evaluate-model content-quality-model: main exited with 1" in result.stderr
    assert "kubectl logs --namespace kubeflow --selector pipeline/runid=run-1" in result.stderr


@pytest.mark.usefixtures("quick")
def test_run_is_followed_to_its_end_when_the_service_is_silent_for_a_moment(
    platform: FakePlatform, service: PipelinesService
) -> None:
    service.runs.append(FakeRun(id="run-9", name="train-models", specification=specification()))

    answer, calls = service.answer, iter(range(100))

    def sometimes(method: str, path: str, body: bytes) -> tuple[int, Any]:
        return (503, {"message": "no healthy upstream"}) if next(calls) in {2, 3} else answer(method, path, body)

    service.answer = sometimes
    result = run()
    assert result.exit_code == 0, result.stderr
    assert result.output.count("the service does not answer (503 no healthy upstream), asking again") == 2


@pytest.mark.usefixtures("quick")
def test_error_says_so_when_the_service_stays_silent(platform: FakePlatform, service: PipelinesService) -> None:
    service.silent = 100
    result = run()
    assert result.exit_code == 1
    assert "the pipeline service does not answer: 503 no healthy upstream" in result.stderr


def test_reason_is_shown_when_the_service_refuses_the_pipeline(
    platform: FakePlatform, service: PipelinesService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(**_: object) -> dict[str, Any]:
        return {"root": {"dga": {}}}

    monkeypatch.setattr(running, "compile_pipeline", broken)
    result = run()
    assert result.exit_code == 1
    assert "answered POST /apis/v2beta1/runs with 400: invalid pipeline spec" in result.stderr


def test_pipeline_runs_in_a_job_when_the_stack_has_no_service(platform: FakePlatform) -> None:
    done = {"type": "Complete", "status": "True"}
    job: dict[str, Any] = {
        "kind": "Job",
        "metadata": {"name": "train-models-1", "labels": {}},
        "status": {"conditions": [done]},
    }
    platform.objects("jobs", items=[])
    platform.rule("kubectl", "create")
    platform.objects("jobs,pods", items=[job])
    platform.rule("kubectl", "get", "job", "train-models-1", stdout=json.dumps(job))
    platform.rule("kubectl", "logs", "job/train-models-1")
    result = run()
    assert result.exit_code == 0, result.stderr
    assert "this stack has no pipeline service: Kubeflow's local runner" in result.output
    assert "train-models-1: done" in result.output


@pytest.mark.usefixtures("service")
def test_remedy_names_the_extra_when_the_sdk_is_not_installed(
    platform: FakePlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "hidden"
    (hidden / "kfp").mkdir(parents=True)
    (hidden / "kfp" / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'kfp'\")\n")
    monkeypatch.setattr(compiling, "_PROJECT", hidden)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    result = run()
    assert result.exit_code == 1
    assert "No module named 'kfp'" in result.stderr
    assert "install the project with its extra `training`" in result.stderr


def test_stop_ends_what_is_going_on_and_nothing_else(platform: FakePlatform, service: PipelinesService) -> None:
    service.runs += [
        FakeRun(id="run-1", name="train-models a", specification=specification(), ended="SUCCEEDED"),
        FakeRun(id="run-2", name="train-models b", specification=specification(), looks=1),
        FakeRun(id="run-3", name="somebody else's", specification=specification(), looks=1),
    ]
    result = CliRunner().invoke(app, ["pipeline", "stop"])
    assert result.exit_code == 0, result.stderr
    assert result.output == "train-models b (run-2) is being ended\n"
    assert [run.ended for run in service.runs] == ["SUCCEEDED", "CANCELED", ""]
    again = CliRunner().invoke(app, ["pipeline", "stop"])
    assert again.output == "no run is going on\n"


def test_ended_run_counts_as_failed_when_somebody_stopped_it(platform: FakePlatform, service: PipelinesService) -> None:
    stopped = FakeRun(id="run-2", name="train-models b", specification=specification(), looks=1)
    service.runs.append(stopped)
    answer, calls = service.answer, iter(range(100))

    def stopping(method: str, path: str, body: bytes) -> tuple[int, Any]:
        if next(calls) == 2:
            stopped.ended = "CANCELED"
        return answer(method, path, body)

    service.answer = stopping
    result = run()
    assert result.exit_code == 1
    assert "train-models b ended as canceled" in result.stderr


def test_run_goes_on_and_the_way_back_is_told_when_interrupted(
    platform: FakePlatform, service: PipelinesService
) -> None:
    service.hangs = True
    service.runs.append(FakeRun(id="run-2", name="train-models b", specification=specification(), looks=1))
    process = subprocess.Popen(
        [sys.executable, "-m", "ml.cli", "pipeline", "run"],
        cwd=Path(__file__).parents[3],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "joining it" in process.stdout.readline()
        assert ": succeeded" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "`mlp pipeline run` joins it again, `mlp pipeline stop` ends it" in errors
    assert service.runs[0].ended == ""
    tunnels = [call["pid"] for call in platform.calls("kubectl") if "port-forward" in call["arguments"]]
    assert tunnels
    assert not any(_is_alive(pid) for pid in tunnels)


def test_way_to_the_service_is_listed_when_there_is_one(platform: FakePlatform, service: PipelinesService) -> None:
    shown = CliRunner().invoke(app, ["open"]).output
    assert "Kubeflow Pipelines' API, while this runs" in shown
    assert "port-forward --namespace kubeflow service/ml-pipeline 8888" in shown


def _is_alive(pid: int) -> bool:
    for _ in range(50):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True
