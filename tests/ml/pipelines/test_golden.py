"""The compiled pipeline, as a Kubeflow installation would get it.

After a wanted change write the file anew:
`python -m ml.pipelines compile train_models --base-image IMAGE --output tests/ml/pipelines/golden/train_models.yaml`
with the image below. Does not prove that a cluster runs it; test_local_run.py runs the same steps on this machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ml.contracts import DEFAULT_MODELS
from ml.pipelines import components
from ml.pipelines.__main__ import main
from ml.pipelines.train_models import build

GOLDEN = Path(__file__).parent / "golden" / "train_models.yaml"
IMAGE = "registry.example/mlplatform/training@sha256:0000000000000000000000000000000000000000000000000000000000000000"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> str:
    output = tmp_path_factory.mktemp("compiled") / "train_models.yaml"
    assert main(["compile", "train_models", "--base-image", IMAGE, "--output", str(output)]) == 0
    return output.read_text()


def test_compiled_pipeline_is_the_golden_one_when_nothing_was_changed(compiled: str) -> None:
    assert compiled == GOLDEN.read_text(), "write the golden file anew if the change is wanted (see this module's text)"


def test_every_step_runs_in_the_training_image_and_installs_nothing(compiled: str) -> None:
    document: dict[str, Any] = next(iter(yaml.safe_load_all(compiled)))
    executors = document["deploymentSpec"]["executors"]
    assert len(executors) == len(DEFAULT_MODELS) * len(components.STEPS)
    for executor in executors.values():
        assert executor["container"]["image"] == IMAGE
        assert "pip install" not in " ".join(executor["container"]["command"])


def test_steps_follow_each_other_within_a_model_and_not_across_models(compiled: str) -> None:
    document: dict[str, Any] = next(iter(yaml.safe_load_all(compiled)))
    tasks = document["root"]["dag"]["tasks"]
    for position in range(len(DEFAULT_MODELS)):
        suffix = f"-{position + 1}" if position else ""
        assert "dependentTasks" not in tasks[f"prepare-data{suffix}"]
        assert tasks[f"train-model{suffix}"]["dependentTasks"] == [f"prepare-data{suffix}"]
        assert f"train-model{suffix}" in tasks[f"evaluate-model{suffix}"]["dependentTasks"]
        assert f"evaluate-model{suffix}" in tasks[f"export-model{suffix}"]["dependentTasks"]
        assert tasks[f"register-model{suffix}"]["dependentTasks"] == [f"export-model{suffix}"]


def test_no_step_is_cached_when_the_pipeline_runs_again(compiled: str) -> None:
    document: dict[str, Any] = next(iter(yaml.safe_load_all(compiled)))
    assert all(task["cachingOptions"] == {} for task in document["root"]["dag"]["tasks"].values())


def test_parameters_have_working_defaults_when_none_is_given(compiled: str) -> None:
    document: dict[str, Any] = next(iter(yaml.safe_load_all(compiled)))
    parameters = document["root"]["inputDefinitions"]["parameters"]
    assert {name: parameter["defaultValue"] for name, parameter in parameters.items()} == {
        "alias": "auto",
        "dataset": "/data/debian-packages.jsonl.gz",
        "epochs": 3,
        "learning_rate": 0.005,
        "sample": 0,
        "seed": 1,
    }


def test_pipeline_is_refused_when_it_has_no_model_or_image() -> None:
    with pytest.raises(ValueError, match="both must be given"):
        build(IMAGE, ())
    with pytest.raises(ValueError, match="both must be given"):
        build("", DEFAULT_MODELS)
