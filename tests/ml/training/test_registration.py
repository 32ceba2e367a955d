"""Registering in a real tracking server: figures, files, signature, alias, and what the version sync then finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from mlflow import MlflowClient
from mlflow.models import Model

from ml.contracts import RESEARCH_PATTERN_PREDICTOR
from ml.serving.registry import Registry, directory_digest
from ml.training import registration
from ml.training.topics import TOPICS
from tests.support.tracking_server import TrackingServer

MODEL = RESEARCH_PATTERN_PREDICTOR
load_description: Any = cast("Any", Model).load
ORIGIN = {
    "model": MODEL,
    "task": "Says what it is about.",
    "data": {"model": MODEL, "dataset_sha256": "ab" * 32, "sample": 40, "train_examples": 640, "test_examples": 160},
    "fit": {"epochs": 2, "batch_size": 128, "learning_rate": 0.005, "seed": 1, "losses": [0.9, 0.4], "seconds": 3.2},
    "metrics": {"accuracy": 0.86, "baseline_bag_of_words_accuracy": 0.79},
}


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    saved_model = tmp_path / "exported" / "saved_model"
    (saved_model / "variables").mkdir(parents=True)
    (saved_model / "saved_model.pb").write_bytes(b"graph")
    (saved_model / "variables" / "data").write_bytes(b"\0" * 100_000)
    (saved_model / "assets.extra").mkdir()
    (saved_model / "assets.extra" / "origin.json").write_text(json.dumps(ORIGIN))
    return tmp_path / "exported"


@pytest.fixture
def client(tracking_server: TrackingServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a client of a registry without this model."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_server.url)
    client: Any = MlflowClient(tracking_server.url)
    if client.search_registered_models(f"name = '{MODEL}'"):
        client.delete_registered_model(MODEL)
    return client


def test_first_version_is_champion_and_next_ones_candidates_when_nothing_else_is_asked(
    client: Any, exported: Path
) -> None:
    assert registration.models_without_champion((MODEL,)) == (MODEL,)
    assert registration.register(exported) == registration.Registered(MODEL, 1, "champion")
    assert registration.models_without_champion((MODEL,)) == ()
    assert registration.register(exported) == registration.Registered(MODEL, 2, "candidate-a")
    assert registration.register(exported) == registration.Registered(MODEL, 3, "candidate-a")
    assert dict(client.get_registered_model(MODEL).aliases) == {"champion": "1", "candidate-a": "3"}


@pytest.mark.parametrize("step", ["log_batch", "log_model_artifacts", "set_registered_model_alias"])
def test_run_has_failed_when_its_registration_breaks_off(
    client: Any, exported: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise OSError("the store is full")

    with monkeypatch.context() as broken:
        broken.setattr(registration.MlflowClient, step, gone)
        with pytest.raises(OSError, match="the store is full"):
            registration.register(exported)
    experiment = client.get_experiment_by_name(registration.EXPERIMENT)
    newest, *_ = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])
    assert newest.info.status == "FAILED"
    assert registration.register(exported).alias == "champion"


def test_alias_is_the_one_asked_for_when_one_is_given(client: Any, exported: Path) -> None:
    assert registration.register(exported, alias="candidate-a").alias == "candidate-a"
    assert registration.models_without_champion((MODEL,)) == (MODEL,)
    assert registration.register(exported, alias="champion") == registration.Registered(MODEL, 2, "champion")
    with pytest.raises(ValueError, match="alias='winner': allowed are auto, champion, candidate-a"):
        registration.register(exported, alias="winner")


def test_run_holds_figures_and_settings_when_a_version_is_registered(client: Any, exported: Path) -> None:
    version = client.get_model_version(MODEL, str(registration.register(exported).version))
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"accuracy": 0.86, "baseline_bag_of_words_accuracy": 0.79, "loss": 0.4}
    assert [metric.value for metric in client.get_metric_history(version.run_id, "loss")] == [0.9, 0.4]
    assert run.data.params["dataset_sha256"] == "ab" * 32
    assert (run.data.params["fit.seed"], run.data.params["sample"]) == ("1", "40")
    assert version.tags["dataset_sha256"] == "ab" * 32


def test_signature_is_readable_when_a_version_is_registered(
    client: Any, exported: Path, tmp_path: Path, tracking_server: TrackingServer
) -> None:
    registration.register(exported)
    version = Registry(tracking_server.url).version_by_alias(MODEL, "champion")
    assert version is not None
    uri = client.get_model_version_download_uri(MODEL, str(version.version))
    assert uri.startswith("mlflow-artifacts:/")
    description: Any = load_description(f"models:/{MODEL}@champion")
    (text,) = description.signature.inputs.inputs
    assert (text.name, text.type.name, text.shape) == ("input", "str", (-1,))
    outputs = {output.name: output.shape for output in description.signature.outputs.inputs}
    assert outputs == {"label": (-1,), "confidence": (-1,), "scores": (-1, len(TOPICS))}


def test_sync_downloads_exactly_the_exported_files_when_a_version_is_registered(
    client: Any, exported: Path, tmp_path: Path, tracking_server: TrackingServer
) -> None:
    registration.register(exported)
    registry = Registry(tracking_server.url)
    version = registry.version_by_alias(MODEL, "champion")
    assert version is not None
    assert version.digest == directory_digest(exported / "saved_model")
    registry.download(version, "saved_model", tmp_path / "copy")
    assert directory_digest(tmp_path / "copy") == version.digest
