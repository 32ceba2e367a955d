"""The pipeline run for real on this machine: Kubeflow's local runner, a tracking server, a small made-up corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from ml.contracts import CONTENT_QUALITY_MODEL, RESEARCH_PATTERN_PREDICTOR
from ml.pipelines.__main__ import main
from ml.pipelines.runner_output import RunnerOutput
from tests.ml.training.corpus import write_corpus
from tests.support.tracking_server import TrackingServer


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "d.gz")


@pytest.fixture
def client(tracking_server: TrackingServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a client of a registry without any of our models."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_server.url)
    client: Any = MlflowClient(tracking_server.url)
    for model in client.search_registered_models():
        client.delete_registered_model(model.name)
    return client


def run(dataset: Path, model: str, *more: str) -> int:
    common = ["run", "train_models", "--runner", "local", "--dataset", str(dataset), "--model", model]
    return main([*common, "--sample", "40", "--epochs", "6", *more])


def test_model_is_trained_and_registered_once_when_the_pipeline_runs_twice(
    client: Any, dataset: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # as in a pod: the folder it is started from means nothing
    assert run(dataset, RESEARCH_PATTERN_PREDICTOR) == 0
    shown = capsys.readouterr().out
    for step in ("prepare-data", "train-model", "evaluate-model", "export-model", "register-model"):
        assert f"research_pattern_predictor: step {step}\n" in shown
    assert "research_pattern_predictor: pass 6 of 6: loss" in shown
    assert "research_pattern_predictor: version 1 registered as champion\n" in shown
    assert "KFP Executor" not in shown

    assert run(dataset, RESEARCH_PATTERN_PREDICTOR) == 0
    assert "research_pattern_predictor: has a champion, nothing to do" in capsys.readouterr().out
    assert dict(client.get_registered_model(RESEARCH_PATTERN_PREDICTOR).aliases) == {"champion": "1"}


def test_run_fails_and_registers_nothing_when_the_model_is_too_bad(
    client: Any, dataset: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(dataset, CONTENT_QUALITY_MODEL, "--sample", "3", "--epochs", "1", "--pipeline-root", str(tmp_path)) == 1
    shown = capsys.readouterr()
    assert "step evaluate-model" in shown.out
    assert "step export-model" not in shown.out
    assert "content_quality_model must not be served:" in shown.err
    assert client.search_registered_models() == []


def test_reason_is_given_when_the_data_set_is_missing(
    client: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(tmp_path / "absent.gz", CONTENT_QUALITY_MODEL) == 1
    assert "absent.gz: no such file; set MLP_DATASET" in capsys.readouterr().err


def test_reason_is_given_when_the_tracking_server_is_not_there(
    dataset: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run(dataset, CONTENT_QUALITY_MODEL) == 2
    assert "MLFLOW_TRACKING_URI is not set" in capsys.readouterr().err
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert run(dataset, CONTENT_QUALITY_MODEL) == 1
    assert "the tracking server does not answer" in capsys.readouterr().err


def test_only_steps_and_their_own_lines_are_shown_when_the_runner_prints() -> None:
    shown: list[str] = []
    output = RunnerOutput("m", shown.append)
    output.write("12:00:00.001 - INFO - Executing task \x1b[96m'train-model'\x1b[0m\n    m: pa")
    output.write("ss 1 of 3\n    [KFP Executor INFO]: noise\n\n   other: line\nTraceback: bro")
    assert shown == ["m: step train-model", "m: pass 1 of 3"]
    assert output.tail().endswith("other: line\nTraceback: bro")
