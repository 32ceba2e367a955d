"""Registers files as a model version, the way the pipeline does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from ml.contracts import SAVED_MODEL_ARTIFACT
from ml.serving.registry import DIGEST_TAG, directory_digest


def register(url: str, model: str, folder: Path, *, digest: str | None = None) -> int:
    """Register the folder as the next version of a model and return the version's number."""
    client: Any = MlflowClient(tracking_uri=url)
    logged = client.create_logged_model("0", name=model)
    client.log_model_artifacts(logged.model_id, str(folder), SAVED_MODEL_ARTIFACT)
    client.finalize_logged_model(logged.model_id, "READY")
    if not client.search_registered_models(f"name = '{model}'"):
        client.create_registered_model(model)
    version = client.create_model_version(
        model,
        source=f"models:/{logged.model_id}",
        model_id=logged.model_id,
        tags={DIGEST_TAG: directory_digest(folder) if digest is None else digest},
        await_creation_for=0,
    )
    return int(version.version)


def set_alias(url: str, model: str, alias: str, version: int | None) -> None:
    """Point an alias to a version, or remove it."""
    client: Any = MlflowClient(tracking_uri=url)
    if version is None:
        client.delete_registered_model_alias(model, alias)
    else:
        client.set_registered_model_alias(model, alias, str(version))
