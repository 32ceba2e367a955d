"""Each part is killed once: it comes back by itself, and nothing that was stored is lost."""

from __future__ import annotations

import subprocess
import sys
import uuid

import pytest

from local import paths
from ml import contracts
from tests.e2e.cluster import Cluster

pytestmark = pytest.mark.e2e

_MODEL = contracts.kube_name(contracts.RESEARCH_PATTERN_PREDICTOR)
VICTIMS = {
    "PostgreSQL": (None, f"app.kubernetes.io/name={contracts.METADATA_DB_SERVICE}"),
    "object store": (None, f"app.kubernetes.io/name={contracts.OBJECT_STORE_SERVICE}"),
    "MLflow": (None, f"app.kubernetes.io/name={contracts.TRACKING_SERVER_SERVICE}"),
    "istiod": ("istio-system", "app=istiod"),
    "gateway": ("istio-system", "istio=ingressgateway"),
    "stable slot": (None, f"{contracts.MODEL_LABEL}={_MODEL},{contracts.SLOT_LABEL}=stable"),
    "controller": (None, f"app.kubernetes.io/name={contracts.EXPERIMENT_CONTROLLER}"),
}  # fmt: skip


@pytest.mark.parametrize("victim", VICTIMS)
def test_platform_heals_and_keeps_its_data_when_a_part_is_killed(cluster: Cluster, victim: str) -> None:
    namespace, selector = VICTIMS[victim]
    model_version = cluster.alias_version(contracts.RESEARCH_PATTERN_PREDICTOR, contracts.CHAMPION_ALIAS)
    note = f"before-{uuid.uuid4()}"
    cluster.mlflow("POST", "experiments/create", {"name": note})
    killed = cluster.kubectl("get", "pods", "-l", selector, "-o", "name", namespace=namespace).split()
    assert killed, f"no pod matches {selector}"

    cluster.kubectl("delete", *killed, "--grace-period=0", "--force", "--wait=true", namespace=namespace)

    cluster.verifies(within_seconds=180, what=f"`mlp verify` after {victim} was killed")
    found = cluster.mlflow("GET", f"experiments/get-by-name?experiment_name={note}")
    assert found["experiment"]["name"] == note
    assert cluster.alias_version(contracts.RESEARCH_PATTERN_PREDICTOR, contracts.CHAMPION_ALIAS) == model_version


def test_predictions_go_on_when_the_control_plane_is_away(cluster: Cluster) -> None:
    cluster.kubectl("scale", "deployment/istiod", "--replicas=0", namespace="istio-system")
    try:
        cluster.kubectl("wait", "--for=delete", "pod", "-l", "app=istiod", "--timeout=60s", namespace="istio-system")
        answers = cluster.send(contracts.RESEARCH_PATTERN_PREDICTOR, [None] * 500)
        assert answers.failed == 0, answers
    finally:
        cluster.kubectl("scale", "deployment/istiod", "--replicas=1", namespace="istio-system")
        cluster.kubectl("rollout", "status", "deployment/istiod", "--timeout=60s", namespace="istio-system")


def test_platform_continues_with_its_data_when_it_was_stopped_and_started(cluster: Cluster) -> None:
    model = contracts.RESEARCH_PATTERN_PREDICTOR
    version = cluster.alias_version(model, contracts.CHAMPION_ALIAS)
    for command in ("stop", "up"):
        done = subprocess.run(
            [sys.executable, "-m", "local", command], cwd=paths.repo_root(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert cluster.alias_version(model, contracts.CHAMPION_ALIAS) == version
    cluster.verifies(within_seconds=120)
