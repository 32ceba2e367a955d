"""The steps of training, each from files to files, so that they run the same in a pod, in a subprocess and in a test.

    prepare -> train -> evaluate -> export -> register (in `ml.training.registration`)

Each step writes a folder that the next one reads. A step that fails raises; nothing of a failed step is used later.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ml.training.dataset import fingerprint, read_packages
from ml.training.examples import read_examples, texts_of, write_examples
from ml.training.models import WARM_UP_TEXTS, definition

TRAIN_FILE: Final = "train.jsonl"
TEST_FILE: Final = "test.jsonl"
DATA_FILE: Final = "data.json"
FIT_FILE: Final = "fit.json"
EVALUATION_FILE: Final = "evaluation.json"
SAVED_MODEL: Final = "saved_model"
_TEST_SHARE: Final = 4
"""The test sample is this many times smaller than the training sample, as the split is 80 to 20."""


def say(message: str) -> None:
    """Show one line of progress at once."""
    print(message, flush=True)


def prepare(model: str, dataset: Path, output: Path, *, sample: int = 0, seed: int = 1) -> dict[str, Any]:
    """Make the model's training and test examples from the data set.

    Args:
        model: name of the model.
        dataset: the data set's file.
        output: folder to write to.
        sample: how many packages to learn from, 0 for the model's default.
        seed: decides the sample.

    Returns:
        What was written: counts, the data set's fingerprint and the sample.

    Raises:
        DatasetError: the data set cannot be used.
        ValueError: there is no such model, or the sample is negative or leaves nothing to train or test on.
    """
    known = definition(model)
    if sample < 0:
        raise ValueError(f"sample={sample}: allowed is 0 (default) or more")
    size = sample or known.default_sample
    packages = read_packages(dataset)
    train_examples = known.examples(packages, "train", size, seed)
    test_examples = known.examples(packages, "test", max(1, size // _TEST_SHARE), seed)
    if not train_examples or not test_examples:
        raise ValueError(
            f"{dataset}: {len(train_examples)} training and {len(test_examples)} test examples for {model}"
        )
    output.mkdir(parents=True, exist_ok=True)
    write_examples(output / TRAIN_FILE, train_examples)
    write_examples(output / TEST_FILE, test_examples)
    summary = {
        "model": model,
        "dataset_sha256": fingerprint(dataset),
        "packages": len(packages),
        "sample": size,
        "sample_seed": seed,
        "train_examples": len(train_examples),
        "test_examples": len(test_examples),
    }
    _write_json(output / DATA_FILE, summary)
    say(f"{model}: {len(train_examples)} training and {len(test_examples)} test texts of {len(packages)} packages")
    return summary


def train(data: Path, output: Path, *, epochs: int = 3, learning_rate: float = 0.005, seed: int = 1) -> dict[str, Any]:
    """Fit the model to the prepared examples and write it as a SavedModel.

    Returns:
        How it went: settings, loss of each pass, seconds.
    """
    from ml.serving import export as saved_models
    from ml.training import fitting

    model = str(_read_json(data / DATA_FILE)["model"])
    settings = fitting.FitSettings(epochs=epochs, learning_rate=learning_rate, seed=seed)
    started = time.monotonic()
    fitting.make_deterministic(seed)
    untrained = definition(model).build()
    losses = fitting.fit(untrained, read_examples(data / TRAIN_FILE), settings, lambda line: say(f"{model}: {line}"))
    output.mkdir(parents=True, exist_ok=True)
    saved_models.write_saved_model(untrained, output / SAVED_MODEL)
    summary = {**dataclasses.asdict(settings), "losses": losses, "seconds": round(time.monotonic() - started, 1)}
    _write_json(output / FIT_FILE, summary)
    return summary


def evaluate(data: Path, trained: Path, output: Path) -> dict[str, float]:
    """Ask the saved model through its serving signature about the test examples and judge the answers.

    Returns:
        The figures, those of the baselines included.

    Raises:
        ModelBelowBaselineError: the model is not enough better than its baselines.
    """
    from ml.serving import export as saved_models

    model = str(_read_json(data / DATA_FILE)["model"])
    test_examples = read_examples(data / TEST_FILE)
    outputs = saved_models.predict(trained / SAVED_MODEL, texts_of(test_examples))
    evaluation = definition(model).evaluate(read_examples(data / TRAIN_FILE), test_examples, outputs)
    for name, value in evaluation.metrics.items():
        say(f"{model}: {name} {value:.4g}")
    evaluation.require_success(model)
    output.mkdir(parents=True, exist_ok=True)
    _write_json(output / EVALUATION_FILE, evaluation.metrics)
    return evaluation.metrics


def export(data: Path, trained: Path, evaluation: Path, output: Path) -> None:
    """Complete the SavedModel for serving: warm-up requests, and a note of its origin."""
    from ml.serving import export as saved_models

    origin = origin_of(data, trained, evaluation)
    target = output / SAVED_MODEL
    shutil.copytree(trained / SAVED_MODEL, target)
    saved_models.write_warm_up(target, model_name=str(origin["model"]), texts=WARM_UP_TEXTS)
    saved_models.write_origin(target, origin)
    answers = saved_models.predict(target, WARM_UP_TEXTS)
    say(f"{origin['model']}: exported, answers {len(WARM_UP_TEXTS)} texts with {', '.join(sorted(answers))}")


def origin_of(data: Path, trained: Path, evaluation: Path) -> dict[str, Any]:
    """Return where a model comes from: its data, its fit and its figures."""
    prepared = _read_json(data / DATA_FILE)
    return {
        "model": prepared["model"],
        "task": definition(str(prepared["model"])).task,
        "data": prepared,
        "fit": _read_json(trained / FIT_FILE),
        "metrics": _read_json(evaluation / EVALUATION_FILE),
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
