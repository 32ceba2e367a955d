"""Two teams at one real MLflow, each through its own proxy: both work, and neither sees the other."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tests.support.tracking_server import TrackingServer

pytestmark = pytest.mark.slow

_START_SECONDS = 60.0
TEAMS = ("red", "blue")


@contextmanager
def started(registry_url: str, workspace: str) -> Generator[str]:
    """Run the program as its pod does and yield its address once it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {**os.environ, "REGISTRY_URL": registry_url, "WORKSPACE": workspace, "PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "ml.workspaces"], env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not is_ready(url):
            assert process.poll() is None, "the proxy ended"
            assert time.monotonic() < deadline, "the proxy is not ready in time"
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def experiments_of(client: MlflowClient) -> list[str]:
    return [item.name for item in client.search_experiments()]  # pyright: ignore[reportUnknownMemberType]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = TrackingServer(tmp_path_factory.mktemp("registry"), workspaces=True)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(scope="module")
def proxies(registry: str) -> Iterator[dict[str, str]]:
    with started(registry, "red") as red, started(registry, "blue") as blue:
        yield {"red": red, "blue": blue}


@pytest.fixture(scope="module")
def reds_run(proxies: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run of the red team with an artifact and a registered model."""
    client = MlflowClient(proxies["red"])
    experiment = client.create_experiment("secret plans")
    run = client.create_run(experiment)
    client.log_metric(run.info.run_id, "loss", 0.5)
    file = tmp_path_factory.mktemp("artifact") / "weights.txt"
    file.write_text("red weights" * 10_000, encoding="utf-8")
    client.log_artifact(run.info.run_id, str(file))  # pyright: ignore[reportUnknownMemberType] no types
    client.create_registered_model("model")
    client.create_model_version("model", f"{run.info.artifact_uri}/weights.txt", run_id=run.info.run_id)
    return run.info.run_id


def test_team_gets_back_what_it_wrote_when_it_asks(proxies: dict[str, str], reds_run: str, tmp_path: Path) -> None:
    client = MlflowClient(proxies["red"])
    assert client.get_run(reds_run).data.metrics == {"loss": 0.5}
    listed = client.list_artifacts(reds_run)  # pyright: ignore[reportUnknownMemberType]
    assert [item.path for item in listed] == ["weights.txt"]
    got = Path(client.download_artifacts(reds_run, "weights.txt", str(tmp_path)))
    assert got.read_text(encoding="utf-8") == "red weights" * 10_000
    assert client.get_model_version("model", "1").run_id == reds_run


def test_other_team_sees_nothing_of_it_when_it_asks(proxies: dict[str, str], reds_run: str) -> None:
    client = MlflowClient(proxies["blue"])
    assert experiments_of(client) == []
    with pytest.raises(MlflowException, match="not found"):
        client.get_run(reds_run)
    with pytest.raises(MlflowException, match="not found"):
        client.get_registered_model("model")
    artifact = f"/api/2.0/mlflow-artifacts/artifacts/workspaces/red/1/{reds_run}/artifacts/weights.txt"
    assert httpx.get(proxies["blue"] + artifact).status_code == 400
    assert httpx.get(proxies["red"] + artifact).status_code == 200


def test_platforms_own_clients_see_nothing_of_it_when_they_name_no_workspace(registry: str, reds_run: str) -> None:
    client = MlflowClient(registry)
    assert experiments_of(client) == ["Default"]
    with pytest.raises(MlflowException, match="not found"):
        client.get_run(reds_run)


@pytest.mark.parametrize("name", ["X-MLFLOW-WORKSPACE", "x-mlflow-workspace", "X_MLFLOW_WORKSPACE"])
def test_header_changes_nothing_when_a_team_names_another_workspace(
    proxies: dict[str, str], reds_run: str, name: str
) -> None:
    answer = httpx.get(f"{proxies['blue']}/api/2.0/mlflow/runs/get", params={"run_id": reds_run}, headers={name: "red"})
    assert answer.status_code == 404


def test_workspace_cannot_be_taken_over_when_a_team_gives_away_addresses(
    proxies: dict[str, str], reds_run: str
) -> None:
    """The registry itself refuses to serve one workspace's files as another's."""
    artifacts = f"mlflow-artifacts:/workspaces/red/1/{reds_run}/artifacts"
    api = f"{proxies['blue']}/api/2.0/mlflow"
    assert (
        httpx.post(f"{api}/experiments/create", json={"name": "x", "artifact_location": artifacts}).status_code == 400
    )
    assert httpx.post(f"{api}/registered-models/create", json={"name": "theirs"}).status_code == 200
    answer = httpx.post(f"{api}/model-versions/create", json={"name": "theirs", "source": artifacts})
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/3.0/mlflow/workspaces"),
        ("DELETE", "/api/3.0/mlflow/workspaces/red"),
        ("GET", "/get-artifact"),
        ("POST", "/graphql"),
        ("GET", "/api/2.0/mlflow/experiments/%2e%2e/webhooks"),
        ("GET", "/api/2.0/mlflow/experiments/..%2fwebhooks"),
    ],
)
def test_refusal_comes_from_the_proxy_when_a_path_is_not_for_teams(
    proxies: dict[str, str], method: str, path: str
) -> None:
    answer = httpx.request(method, proxies["blue"] + path)
    assert answer.status_code == 403
    assert answer.json()["error_code"] == "PERMISSION_DENIED"


def test_requests_are_counted_when_asked(proxies: dict[str, str], reds_run: str) -> None:
    lines = httpx.get(f"{proxies['red']}/metrics").text
    assert 'mlplatform_team_registry_requests_total{code_class="2xx",workspace="red"}' in lines
    assert "blue" not in lines


def test_proxy_becomes_ready_once_the_registry_is_there_when_it_starts_first(registry: str) -> None:
    with started(registry, "red") as again:
        assert httpx.get(f"{again}/healthz").status_code == 200
