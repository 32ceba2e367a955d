"""Training for real on a small made-up corpus: each step from files to files, up to a model that a server can load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from local.modelserver.servable import Servable, SessionSettings
from local.modelserver.warm_up import warm_up
from ml.contracts import CONTENT_QUALITY_MODEL, DEFAULT_MODELS, RESEARCH_PATTERN_PREDICTOR
from ml.serving import export as saved_models
from ml.training import steps
from ml.training.dataset import fingerprint
from ml.training.evaluation import ModelBelowBaselineError
from ml.training.models import WARM_UP_TEXTS, definition
from ml.training.topics import TOPICS
from tests.ml.training.corpus import write_corpus

EPOCHS = {RESEARCH_PATTERN_PREDICTOR: 6, CONTENT_QUALITY_MODEL: 12}
SAMPLES = {RESEARCH_PATTERN_PREDICTOR: 40, CONTENT_QUALITY_MODEL: 400}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "d.gz")


@pytest.fixture(scope="module", params=DEFAULT_MODELS)
def exported(request: pytest.FixtureRequest, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of all steps' output for each model."""
    model, root = str(request.param), tmp_path_factory.mktemp("steps")
    steps.prepare(model, dataset, root / "data", sample=SAMPLES[model])
    steps.train(root / "data", root / "trained", epochs=EPOCHS[model], learning_rate=0.02)
    steps.evaluate(root / "data", root / "trained", root / "evaluation")
    steps.export(root / "data", root / "trained", root / "evaluation", root / "exported")
    return root


def test_model_beats_its_baselines_when_it_was_trained(exported: Path) -> None:
    figures: dict[str, float] = json.loads((exported / "evaluation" / steps.EVALUATION_FILE).read_text())
    if "accuracy" in figures:
        assert figures["accuracy"] > 0.9
        assert figures["baseline_bag_of_words_accuracy"] < 0.75
    else:
        assert figures["mean_absolute_error"] < 0.2
        assert figures["spearman"] > 0.6


def test_origin_travels_with_the_model_when_it_was_exported(exported: Path, dataset: Path) -> None:
    origin = json.loads((exported / "exported/saved_model/assets.extra/origin.json").read_text())
    assert origin["data"]["dataset_sha256"] == fingerprint(dataset)
    assert origin["fit"]["seed"] == 1
    assert len(origin["fit"]["losses"]) == origin["fit"]["epochs"] == EPOCHS[origin["model"]]
    assert origin["fit"]["losses"][-1] < origin["fit"]["losses"][0]
    assert origin["metrics"]["test_examples"] == origin["data"]["test_examples"] > 0


def test_server_loads_and_warms_up_the_model_when_it_was_exported(exported: Path) -> None:
    model = json.loads((exported / "data" / steps.DATA_FILE).read_text())["model"]
    servable = Servable(exported / "exported" / "saved_model", SessionSettings(intra_op_threads=1, inter_op_threads=1))
    assert warm_up(servable, iterations=1) == len(WARM_UP_TEXTS) + 1
    assert [(name, type_.name) for name, type_ in servable.input_types("").items()] == [("input", "string")]
    texts = np.array([b"", b"test data", b"\xff\xfe no text", b"word " * 5_000], dtype=object)
    outputs = servable.predict("", {"input": texts})
    declared = {output.name: output for output in definition(model).outputs}
    assert outputs.keys() == declared.keys()
    for name, array in outputs.items():
        assert array.shape == tuple(len(texts) if size == -1 else size for size in declared[name].shape)
        if array.dtype.kind == "f":
            assert np.isfinite(array).all()
            assert ((array >= 0) & (array <= 1)).all()
    if model == RESEARCH_PATTERN_PREDICTOR:
        assert {label.decode() for label in outputs["label"]} <= set(TOPICS)
        assert outputs["confidence"].tolist() == outputs["scores"].max(axis=1).tolist()
        assert np.allclose(outputs["scores"].sum(axis=1), 1.0, atol=1e-5)
    else:
        assert outputs["words"].tolist() == [0, 2, 3, 256]
    servable.close()


def test_answers_do_not_depend_on_the_company_when_texts_are_asked_together(exported: Path) -> None:
    texts = ["red apple marker0", "", "a longer text that says nothing in particular about anything"]
    together = saved_models.predict(exported / "exported" / "saved_model", texts)
    for position, text in enumerate(texts):
        alone = saved_models.predict(exported / "exported" / "saved_model", [text])
        for name, array in together.items():
            if array.dtype.kind == "f":
                assert np.allclose(alone[name][0], array[position], atol=1e-6)
            else:
                assert alone[name][0] == array[position]


def test_model_is_the_same_when_it_is_trained_again_with_the_same_seed(dataset: Path, tmp_path: Path) -> None:
    steps.prepare(RESEARCH_PATTERN_PREDICTOR, dataset, tmp_path / "data", sample=6)
    scores: list[Any] = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        steps.train(tmp_path / "data", tmp_path / name, epochs=1, seed=seed)
        scores.append(saved_models.predict(tmp_path / name / steps.SAVED_MODEL, ["red apple"])["scores"])
    assert scores[0].tolist() == scores[1].tolist()
    assert scores[0].tolist() != scores[2].tolist()


def test_run_ends_when_the_model_is_no_better_than_its_baselines(dataset: Path, tmp_path: Path) -> None:
    steps.prepare(RESEARCH_PATTERN_PREDICTOR, dataset, tmp_path / "data", sample=6)
    steps.train(tmp_path / "data", tmp_path / "trained", epochs=1, learning_rate=1e-9)
    with pytest.raises(ModelBelowBaselineError, match="research_pattern_predictor must not be served: accuracy"):
        steps.evaluate(tmp_path / "data", tmp_path / "trained", tmp_path / "evaluation")
    assert not (tmp_path / "evaluation").exists()


def test_bad_input_is_named_when_data_is_prepared(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model='other': allowed are \['content_quality_model'"):
        steps.prepare("other", dataset, tmp_path / "data")
    with pytest.raises(ValueError, match="sample=-1: allowed is 0"):
        steps.prepare(CONTENT_QUALITY_MODEL, dataset, tmp_path / "data", sample=-1)
    lone = write_corpus(tmp_path / "lone.gz", per_topic=1, topics=["libs"])
    with pytest.raises(ValueError, match="0 training and 0 test examples for research_pattern_predictor"):
        steps.prepare(RESEARCH_PATTERN_PREDICTOR, lone, tmp_path / "data")


def test_warm_up_is_refused_when_it_would_be_too_much(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1000 warm-up texts: allowed are 1 to 999"):
        saved_models.write_warm_up(tmp_path, model_name="m", texts=["x"] * 1_000)
    with pytest.raises(ValueError, match="0 warm-up texts"):
        saved_models.write_warm_up(tmp_path, model_name="m", texts=[])
