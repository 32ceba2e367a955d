"""Uses MLflow over its REST API, artifact included."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any, Final, cast

from ml.cli.errors import UserError
from ml.cli.http import Endpoint
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.cli.tracking import MLFLOW_API, tracking_server

_EXPERIMENT: Final = "mlp-verify"
_ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"
_ARTIFACT_SCHEME: Final = "mlflow-artifacts:/"


async def log_read_delete_run(kubectl: Kubectl, outputs: StackOutputs, token: str) -> str:
    """Log a run with a parameter and an artifact, read both back, delete both."""
    async with tracking_server(kubectl, outputs) as mlflow:
        experiment = await _experiment(mlflow)
        created = await _call(
            mlflow,
            "runs/create",
            {"experiment_id": experiment, "run_name": token, "start_time": int(time.time() * 1000)},
        )
        info = created["run"]["info"]
        run = str(info["run_id"])
        try:
            await _call(mlflow, "runs/log-parameter", {"run_id": run, "key": "token", "value": token})
            await _expect_parameter(mlflow, run, token)
            await _use_artifact(mlflow, str(info["artifact_uri"]), token)
        finally:
            await _call(mlflow, "runs/delete", {"run_id": run})
    return f"run {run[:8]} in experiment {_EXPERIMENT}"


async def _experiment(mlflow: Endpoint) -> str:
    """Return the id of the experiment that holds the runs of this check."""
    answer = await mlflow.ask("GET", f"{MLFLOW_API}/experiments/get-by-name?experiment_name={_EXPERIMENT}")
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return str((await _call(mlflow, "experiments/create", {"name": _EXPERIMENT}))["experiment_id"])
    if not answer.is_success:
        raise UserError(f"MLflow answered {answer.status_code}: {answer.text[:200]}", "see `mlp logs tracking-server`")
    experiment = answer.json()["experiment"]
    if experiment["lifecycle_stage"] == "deleted":
        await _call(mlflow, "experiments/restore", {"experiment_id": experiment["experiment_id"]})
    return str(experiment["experiment_id"])


async def _expect_parameter(mlflow: Endpoint, run: str, token: str) -> None:
    answer = await mlflow.ask_well("GET", f"{MLFLOW_API}/runs/get?run_id={run}")
    parameters = cast("list[dict[str, str]]", answer.json()["run"]["data"].get("params", []))
    if {"key": "token", "value": token} not in parameters:
        raise UserError(f"logged token {token!r} and read {parameters!r}", "see `mlp logs tracking-server`")


async def _use_artifact(mlflow: Endpoint, run_uri: str, token: str) -> None:
    if not run_uri.startswith(_ARTIFACT_SCHEME):
        raise UserError(
            f"artifacts go to {run_uri} and not through the server",
            "start MLflow with --serve-artifacts, then remove the experiment mlp-verify",
        )
    path = f"{_ARTIFACTS}/{run_uri.removeprefix(_ARTIFACT_SCHEME).lstrip('/')}/token.txt"
    await mlflow.ask_well("PUT", path, content=token.encode())
    try:
        read = (await mlflow.ask_well("GET", path)).text
    finally:
        await mlflow.ask_well("DELETE", path)
    if read != token:
        raise UserError(f"stored artifact {token!r} and read {read!r}", "see `mlp logs tracking-server`")


async def _call(mlflow: Endpoint, path: str, body: dict[str, Any]) -> dict[str, Any]:
    return cast("dict[str, Any]", (await mlflow.ask_well("POST", f"{MLFLOW_API}/{path}", json=body)).json())
