"""What a team may ask the registry for, and which headers go along."""

from __future__ import annotations

import pytest

from ml.workspaces.routes import is_allowed, passed_on


@pytest.mark.parametrize(
    "path",
    [
        "/health",
        "/version",
        "/api/3.0/mlflow/server-info",
        "/api/2.0/mlflow/experiments/create",
        "/api/2.0/mlflow/runs/search",
        "/api/2.0/mlflow/metrics/get-history",
        "/api/2.0/mlflow/registered-models/alias",
        "/api/2.0/mlflow/model-versions/create",
        "/api/2.0/mlflow/logged-models/search",
        "/api/3.0/mlflow/traces/search",
        "/api/2.0/mlflow-artifacts/artifacts",
        "/api/2.0/mlflow-artifacts/artifacts/workspaces/red/1/run/artifacts/a file.txt",
    ],
)
def test_clients_calls_are_allowed_when_asked(path: str) -> None:
    assert is_allowed(path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/metrics",
        "/graphql",
        "/get-artifact",
        "/model-versions/get-artifact",
        "/api/3.0/mlflow/workspaces",
        "/api/3.0/mlflow/workspaces/blue",
        "/api/2.0/mlflow/webhooks",
        "/api/3.0/mlflow/gateway/secrets/create",
        "/api/3.0/mlflow/jobs",
        "/api/2.0/mlflow/users/create",
        "/ajax-api/2.0/mlflow/experiments/search",
        "/api/2.0/mlflow/experiments/../webhooks",
        "/api/2.0/mlflow/experiments//../webhooks",
        "/api/2.0/mlflow/experiments/./get",
        "//api/2.0/mlflow/experiments/get",
        "/api/2.0/mlflow-artifacts/artifacts/..\\..\\secret",
        "/api/2.0/mlflow-artifacts/artifacts/workspaces/blue/../red/x",
        "/api/2.0/mlflow/experimentsx",
        "/health/../graphql",
    ],
)
def test_everything_else_is_refused_when_asked(path: str) -> None:
    assert not is_allowed(path)


def test_no_callers_word_on_the_workspace_is_passed_on_when_it_has_one() -> None:
    sent = [
        ("X-MLflow-Workspace", "blue"),
        ("x_mlflow_workspace", "blue"),
        ("X_MLFLOW-Workspace", "blue"),
        ("Content-Type", "application/json"),
        ("Host", "team-red-registry:5001"),
        ("Connection", "keep-alive"),
        ("Transfer-Encoding", "chunked"),
    ]
    assert passed_on(sent) == [("Content-Type", "application/json")]
