"""Registers an exported model in MLflow: run, figures, files, version and alias."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, Metric, Param, Run, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec
from numpy import dtype

from ml.contracts import CHAMPION_ALIAS, DEFAULT_CANDIDATE_SLOT, SAVED_MODEL_ARTIFACT, SERVING_INPUT
from ml.serving.registry import DIGEST_TAG, directory_digest
from ml.training.models import ModelDefinition, definition
from ml.training.steps import SAVED_MODEL, say

EXPERIMENT: Final = "train_models"
AUTOMATIC_ALIAS: Final = "auto"
ALIASES: Final = (AUTOMATIC_ALIAS, CHAMPION_ALIAS, DEFAULT_CANDIDATE_SLOT)
ORIGIN: Final = Path("assets.extra") / "origin.json"


@dataclasses.dataclass(frozen=True)
class Registered:
    """A registered version and the alias that now points to it."""

    model: str
    version: int
    alias: str


def register(exported: Path, *, alias: str = AUTOMATIC_ALIAS) -> Registered:
    """Register the exported model as a new version and point an alias at it.

    Args:
        exported: folder that `export` wrote.
        alias: `auto` takes `champion` if the model has none yet, else `candidate-a`.

    Raises:
        ValueError: the alias is not allowed.
        MlflowException: the registry refuses or does not answer.
    """
    if alias not in ALIASES:
        raise ValueError(f"alias={alias!r}: allowed are {', '.join(ALIASES)}")
    client = MlflowClient()
    saved_model = exported / SAVED_MODEL
    origin: dict[str, Any] = json.loads((saved_model / ORIGIN).read_text(encoding="utf-8"))
    run = _start_run(client, str(origin["model"]))
    try:
        registered = _register_version(client, saved_model, origin, run, alias)
    except BaseException:
        with contextlib.suppress(MlflowException):  # what went wrong first is what counts
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.FAILED))
        raise
    client.set_terminated(run.info.run_id)
    say(f"{registered.model}: version {registered.version} registered as {registered.alias}")
    return registered


def models_without_champion(models: tuple[str, ...]) -> tuple[str, ...]:
    """Return the models that still need a first version."""
    client = MlflowClient()
    return tuple(model for model in models if not _has_alias(client, model, CHAMPION_ALIAS))


def _register_version(
    client: MlflowClient, saved_model: Path, origin: Mapping[str, Any], run: Run, alias: str
) -> Registered:
    model = str(origin["model"])
    _log_figures(client, run, origin)
    model_id = _log_model(client, saved_model, origin, run_id=run.info.run_id, experiment_id=run.info.experiment_id)
    _ensure_registered_model(client, model, str(origin["task"]))
    version = client.create_model_version(
        model,
        source=f"models:/{model_id}",
        run_id=run.info.run_id,
        model_id=model_id,
        tags={DIGEST_TAG: directory_digest(saved_model), "dataset_sha256": str(origin["data"]["dataset_sha256"])},
        await_creation_for=0,
    )
    chosen = _choose_alias(client, model, alias)
    client.set_registered_model_alias(model, chosen, str(version.version))
    return Registered(model, int(version.version), chosen)


def _start_run(client: MlflowClient, model: str) -> Run:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    experiment_id = experiment.experiment_id if experiment is not None else _create_experiment(client)
    return client.create_run(experiment_id, run_name=model, tags={"model": model})


def _log_figures(client: MlflowClient, run: Run, origin: Mapping[str, Any]) -> None:
    """Write parameters and figures to the run."""
    settings = {**origin["data"], **{f"fit.{name}": value for name, value in origin["fit"].items() if name != "losses"}}
    parameters = [Param(name, str(value)) for name, value in sorted(settings.items())]
    now_ms = int(run.info.start_time)
    figures = [Metric(name, float(value), now_ms, 0) for name, value in sorted(origin["metrics"].items())]
    losses = [Metric("loss", float(loss), now_ms, step) for step, loss in enumerate(origin["fit"]["losses"], start=1)]
    client.log_batch(run.info.run_id, metrics=[*figures, *losses], params=parameters)


def _create_experiment(client: MlflowClient) -> str:
    try:
        return str(client.create_experiment(EXPERIMENT))
    except MlflowException:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            raise
        return str(experiment.experiment_id)  # another training created it in between


def _log_model(
    client: MlflowClient,
    saved_model: Path,
    origin: Mapping[str, Any],
    *,
    run_id: str,
    experiment_id: str,
) -> str:
    logged = client.create_logged_model(
        experiment_id,
        name=str(origin["model"]),
        source_run_id=run_id,
        params={"dataset_sha256": str(origin["data"]["dataset_sha256"])},
        model_type="tensorflow saved model",
    )
    with tempfile.TemporaryDirectory() as folder:
        _describe(Path(folder), definition(str(origin["model"])), logged.model_id, run_id)
        client.log_model_artifacts(logged.model_id, folder)
    client.log_model_artifacts(logged.model_id, str(saved_model), SAVED_MODEL_ARTIFACT)
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
    return str(logged.model_id)


def _describe(folder: Path, model: ModelDefinition, model_id: str, run_id: str) -> None:
    """Write the file in which MLflow keeps a model's signature and how to load it."""
    signature = ModelSignature(
        inputs=Schema([TensorSpec(dtype("str"), (-1,), SERVING_INPUT)]),
        outputs=Schema([TensorSpec(dtype(output.element_type), output.shape, output.name) for output in model.outputs]),
    )
    description: Any = Model(run_id=run_id, signature=signature, model_id=model_id)
    description.add_flavor(
        "tensorflow_saved_model", data=SAVED_MODEL_ARTIFACT, signature="serving_default", tags=["serve"]
    )
    description.save(str(folder / "MLmodel"))


def _ensure_registered_model(client: MlflowClient, model: str, description: str) -> None:
    try:
        client.create_registered_model(model, description=description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _choose_alias(client: MlflowClient, model: str, alias: str) -> str:
    if alias != AUTOMATIC_ALIAS:
        return alias
    return DEFAULT_CANDIDATE_SLOT if _has_alias(client, model, CHAMPION_ALIAS) else CHAMPION_ALIAS


def _has_alias(client: MlflowClient, model: str, alias: str) -> bool:
    try:
        registered = client.get_registered_model(model)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return alias in cast("Any", registered).aliases
