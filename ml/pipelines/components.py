"""The pipeline's components: each calls one step function of `ml.training` with the paths that Kubeflow gives it.

A component's function is shipped as text and run alone in its container, so it imports what it needs inside, and its
annotations must be real objects: this module therefore does without postponed annotations.
"""

from collections.abc import Callable
from typing import Any

from kfp.dsl import Dataset, Input, Metrics, Model, Output  # pyright: ignore[reportMissingTypeStubs] kfp ships none


def prepare_data(model: str, dataset: str, sample: int, seed: int, data: Output[Dataset]) -> None:
    """Make training and test examples from the data set."""
    from pathlib import Path

    from ml.training import steps

    data.metadata = steps.prepare(model, Path(dataset), Path(data.path), sample=sample, seed=seed)


def train_model(data: Input[Dataset], epochs: int, learning_rate: float, seed: int, trained: Output[Model]) -> None:
    """Fit the model."""
    from pathlib import Path

    from ml.training import steps

    summary = steps.train(Path(data.path), Path(trained.path), epochs=epochs, learning_rate=learning_rate, seed=seed)
    trained.metadata = {"seconds": summary["seconds"]}


def evaluate_model(
    data: Input[Dataset], trained: Input[Model], evaluation: Output[Dataset], figures: Output[Metrics]
) -> None:
    """Judge the model against its baselines; fail if it is not enough better."""
    from pathlib import Path

    from ml.training import steps

    for name, value in steps.evaluate(Path(data.path), Path(trained.path), Path(evaluation.path)).items():
        figures.log_metric(name, value)


def export_model(
    data: Input[Dataset], trained: Input[Model], evaluation: Input[Dataset], exported: Output[Model]
) -> None:
    """Complete the model for serving."""
    from pathlib import Path

    from ml.training import steps

    steps.export(Path(data.path), Path(trained.path), Path(evaluation.path), Path(exported.path))


def register_model(exported: Input[Model], alias: str) -> int:
    """Register the model and return its version."""
    from pathlib import Path

    from ml.training import registration

    return registration.register(Path(exported.path), alias=alias).version


STEPS: tuple[Callable[..., Any], ...] = (prepare_data, train_model, evaluate_model, export_model, register_model)
