"""The platform comes up, every part does its work, and the engine and the cluster agree about it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from ml import contracts
from tests.e2e.cluster import Cluster, eventually

pytestmark = pytest.mark.e2e


def test_every_component_does_its_work_when_the_platform_is_up(cluster: Cluster) -> None:
    done = cluster.mlp("verify")
    assert done.returncode == 0, done.stdout + done.stderr


def test_training_run_is_counted_when_its_job_has_ended(cluster: Cluster) -> None:
    query = quote(f'{contracts.PIPELINE_RUNS_SERIES}{{result="succeeded"}}')
    service = f"services/{contracts.PROMETHEUS_SERVICE}:{contracts.PROMETHEUS_PORT}"
    path = f"/api/v1/namespaces/{cluster.namespace}/{service}/proxy/api/v1/query?query={query}"

    def succeeded() -> int:
        result = json.loads(cluster.kubectl("get", "--raw", path))["data"]["result"]
        return int(float(result[0]["value"][1])) if result else 0

    eventually(lambda: succeeded() >= 1, within_seconds=90, what="the first models' training is counted")


@pytest.mark.parametrize("model", contracts.DEFAULT_MODELS)
def test_gateway_answers_a_prediction_when_asked_as_the_readme_says(cluster: Cluster, model: str) -> None:
    status, body = cluster.predict(model)
    assert status == 200, body
    assert len(body["predictions"]) == 1


def test_nothing_changes_and_weights_survive_when_the_stack_is_updated_and_refreshed(cluster: Cluster) -> None:
    model = contracts.CONTENT_QUALITY_MODEL
    original = cluster.weights(model)
    changed = {contracts.STABLE_SLOT: 99, contracts.DEFAULT_CANDIDATE_SLOT: 1}
    assert original != changed
    cluster.set_weights(model, changed)
    try:
        before = cluster.inventory()
        cluster.platform.stack.preview(expect_no_changes=True)
        cluster.platform.stack.up()
        cluster.platform.stack.refresh(expect_no_changes=True)
        assert cluster.inventory() == before
        assert cluster.weights(model) == changed
    finally:
        cluster.set_weights(model, original)


def test_only_the_setting_s_objects_change_when_one_setting_changes(cluster: Cluster) -> None:
    stack = cluster.platform.stack
    before = cluster.inventory()
    original = _server(cluster)["args"]
    stack.set_config("trackingServer.workers", "1")
    try:
        stack.up()
        after = cluster.inventory()
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        assert {key for key in changed if not key.startswith("ReplicaSet/")} == {"Deployment/tracking-server"}
        assert "--workers=1" in _server(cluster)["args"]
    finally:
        stack.set_config("trackingServer.workers", "2")
        stack.up()
    assert _server(cluster)["args"] == original


def _server(cluster: Cluster) -> dict[str, Any]:
    return cluster.get("deployment", "tracking-server")["spec"]["template"]["spec"]["containers"][0]


def test_split_comes_back_when_somebody_deletes_it(cluster: Cluster) -> None:
    model = contracts.CONTENT_QUALITY_MODEL
    name = contracts.split_route_name(model)
    cluster.kubectl("delete", "virtualservices.networking.istio.io", name)
    eventually(
        lambda: name in cluster.kubectl("get", "virtualservices.networking.istio.io", "-o", "name"),
        within_seconds=30,
        what="the controller recreates the split",
    )
    assert cluster.weights(model) == {contracts.STABLE_SLOT: 1000, contracts.DEFAULT_CANDIDATE_SLOT: 0}
    eventually(lambda: cluster.predict(model)[0] == 200, within_seconds=30, what="the route answers again")


def test_secrets_are_nowhere_readable_when_the_state_is_exported(cluster: Cluster) -> None:
    password = cluster.get("secret", "metadata-db-mlflow")["data"]["password"]
    state_files = (cluster.instance.state_dir / "pulumi-state").rglob("*.json")
    text = "\n".join(file.read_text(encoding="utf-8") for file in state_files)
    assert password not in text
    import base64

    assert base64.b64decode(password).decode() not in text


def test_status_names_each_slot_when_asked_for_data(cluster: Cluster) -> None:
    done = cluster.mlp("status", "--json")
    assert done.returncode == 0, done.stderr
    text = json.dumps(json.loads(done.stdout))
    for model in contracts.DEFAULT_MODELS:
        assert model in text
