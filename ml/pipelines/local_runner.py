"""Runs `train_models` on this machine: Kubeflow's local runner, every step in a process of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final

from ml.pipelines.kubeflow_module import local
from ml.pipelines.runner_output import RunnerOutput
from ml.pipelines.train_models import build
from ml.training.dataset import dataset_path
from ml.training.registration import models_without_champion

Progress = Callable[[str], None]
_THIS_ENVIRONMENT: Final = "this-environment"
"""Stands where a cluster has the training image; the local runner uses this process's Python instead."""


class RunFailedError(RuntimeError):
    """A step failed, or the tracking server does not answer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalRun:
    """One run of the pipeline.

    Attributes:
        models: models to train.
        dataset: the data set's file, None for the usual place.
        sample: packages to learn from, 0 for each model's own number.
        epochs: passes over the training texts.
        seed: decides sample, initial weights and order.
        alias: which alias the new versions get; `auto` is `champion` for the first version, else `candidate-a`.
        pipeline_root: folder for the steps' files, None for one that is removed afterwards.
    """

    models: tuple[str, ...]
    dataset: Path | None
    sample: int
    epochs: int
    seed: int
    alias: str
    pipeline_root: Path | None

    def execute(self, progress: Progress, *, force: bool) -> tuple[str, ...]:
        """Train the models that have no champion yet, or all with `force`; return those that were trained.

        Models are trained one after the other, so that a run that was stopped goes on with the next model.

        Raises:
            RunFailedError: a step failed, or the tracking server does not answer.
        """
        try:
            missing = self.models if force else models_without_champion(self.models)
        except Exception as error:
            raise RunFailedError(f"the tracking server does not answer: {error}") from error
        for model in self.models:
            if model not in missing:
                progress(f"{model}: has a champion, nothing to do (--force trains anyway)")
                continue
            progress(f"{model}: training")
            with self._root() as root:
                self._execute_one(model, root, progress)
        return missing

    @contextlib.contextmanager
    def _root(self) -> Generator[Path]:
        if self.pipeline_root is not None:
            self.pipeline_root.mkdir(parents=True, exist_ok=True)
            yield self.pipeline_root
            return
        with tempfile.TemporaryDirectory(prefix="train-models-") as folder:
            yield Path(folder)

    def _execute_one(self, model: str, root: Path, progress: Progress) -> None:
        local.init(
            runner=local.SubprocessRunner(use_venv=False),
            pipeline_root=str(root),
            raise_on_error=True,
            enable_caching=False,
        )
        pipeline = build(_THIS_ENVIRONMENT, (model,))
        arguments: dict[str, Any] = {
            "dataset": str(self.dataset or dataset_path()),
            "sample": self.sample,
            "epochs": self.epochs,
            "seed": self.seed,
            "alias": self.alias,
        }
        output = RunnerOutput(model, progress)
        with _importable(), warnings.catch_warnings(), contextlib.redirect_stdout(output):
            warnings.simplefilter("ignore")  # that display names and image names mean nothing here
            try:
                pipeline(**arguments)
            except Exception as error:
                raise RunFailedError(f"{model}: {error}\n{output.tail()}") from error


@contextlib.contextmanager
def _importable() -> Generator[None]:
    """Let the steps' processes import this package wherever it was started from."""
    before = os.environ.get("PYTHONPATH")
    package_folder = str(Path(__file__).resolve().parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [package_folder, before]))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
