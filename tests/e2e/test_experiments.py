"""Experiments on the live traffic of a real platform: what happens to candidates that are better, equal or harmful.

Time is compressed (an interval of 2 s instead of 30 s, a ramp of 10 s instead of an hour) and effects are large; the
way of the data is the real one: gateway, Prometheus, API, PostgreSQL, controller, MLflow, gateway.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ml import contracts
from tests.e2e.application import Api, Application, Behaviour
from tests.e2e.cluster import Cluster, eventually
from tests.support.model_variants import write_variant

pytestmark = pytest.mark.e2e

MODEL = contracts.CONTENT_QUALITY_MODEL
STABLE, CANDIDATE = contracts.STABLE_SLOT, contracts.DEFAULT_CANDIDATE_SLOT
_DECIDED_WITHIN_SECONDS = 180
_HARD_TO_FIND = {
    "primary": {"name": "converted", "aggregation": "any", "baseline": 0.3, "minimumEffect": 0.01},
    "expectedUnitsPerDay": 20_000_000,
}
"""Changes of the spec after which an experiment runs longer than a test looks at it."""
FINAL = {"Promoted", "RolledBack", "Inconclusive", "Invalid", "Cancelled"}


def spec(**changes: Any) -> dict[str, Any]:
    """Return an experiment that a few hundred users per arm decide."""
    return {
        "model": MODEL,
        "primary": {"name": "converted", "aggregation": "any", "baseline": 0.3, "minimumEffect": 0.15},
        "guardrails": [
            {"kind": "latency", "limitMillis": 100, "exceedancePercent": 20},
            {"kind": "errors", "limitPercent": 5},
            {"kind": "outcome", "name": "correct", "marginPercent": 10},
        ],
        "ramp": {"durationSeconds": 10, "steps": 50},
        "durationSeconds": 600,
        "expectedUnitsPerDay": 2_000_000,
        "minSampleSize": 100,
        "reconcileIntervalSeconds": 2,
        "noData": {"staleAfterSeconds": 60, "timeoutSeconds": 300},
        **changes,
    }


def version_of(cluster: Cluster, **fault: Any) -> str:
    """Register a version of the model with a known fault; return its number."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "model"
        write_variant(root, **fault)
        files = {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}
    return cluster.register_version(MODEL, files)


@pytest.fixture
def champion(cluster: Cluster) -> Iterator[str]:
    """The champion before the experiment, and again after it."""
    version = cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS)
    yield version
    cluster.kubectl("delete", "abtests.mlplatform.dev", "--all", "--timeout=60s")
    cluster.set_alias(MODEL, contracts.CHAMPION_ALIAS, version)
    eventually(lambda: cluster.gateway_weights(MODEL) == {STABLE: 1000}, within_seconds=60, what="all is on stable")
    cluster.kubectl("rollout", "status", f"deployment/{contracts.slot_workload(MODEL, STABLE)}", "--timeout=120s")


def deploy_candidate(cluster: Cluster, version: str) -> None:
    """Let the candidate slot serve a version."""
    cluster.set_alias(MODEL, CANDIDATE, version)
    eventually(
        lambda: cluster.serves(MODEL, CANDIDATE, version), within_seconds=120, what=f"the candidate serves {version}"
    )


def create(cluster: Cluster, name: str, **changes: Any) -> None:
    """Create an experiment as GitOps would."""
    manifest = {
        "apiVersion": "mlplatform.dev/v1alpha1",
        "kind": "ABTest",
        "metadata": {"name": name},
        "spec": spec(**changes),
    }
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(manifest))


def status_of(cluster: Cluster, name: str) -> dict[str, Any]:
    """Return an experiment's status."""
    return cluster.get("abtests.mlplatform.dev", name).get("status", {})


def decided(cluster: Cluster, name: str, behaviour: Behaviour) -> dict[str, Any]:
    """Send users until the experiment is over; return its last status."""
    with Application(cluster, MODEL, behaviour) as application:
        eventually(
            lambda: status_of(cluster, name).get("phase") in FINAL,
            within_seconds=_DECIDED_WITHIN_SECONDS,
            what=f"{name} is decided",
        )
    assert application.refused == []
    return status_of(cluster, name)


def test_truly_better_candidate_is_promoted(cluster: Cluster, champion: str) -> None:
    version = version_of(cluster)
    deploy_candidate(cluster, version)
    create(cluster, "better")
    same = {"correct": 0.9}
    status = decided(cluster, "better", {STABLE: {"converted": 0.2, **same}, CANDIDATE: {"converted": 0.6, **same}})
    assert status["phase"] == "Promoted", status
    assert status["winner"] == CANDIDATE
    assert cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS) == version != champion
    assert cluster.gateway_weights(MODEL) == {STABLE: 1000}
    replayed = cluster.mlp("experiment", "replay", "better")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr


def test_equal_candidate_ends_inconclusive(cluster: Cluster, champion: str) -> None:
    deploy_candidate(cluster, champion)
    create(cluster, "equal")
    same = {"converted": 0.3, "correct": 0.9}
    status = decided(cluster, "equal", {STABLE: same, CANDIDATE: same})
    assert status["phase"] == "Inconclusive", status
    assert cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS) == champion


@pytest.mark.parametrize(
    ("name", "fault", "correct"),
    [
        pytest.param("slow", {"delay_millis": 150}, 0.9, id="three times the latency"),
        pytest.param("failing", {"failing_share": 0.25}, 0.9, id="failing requests"),
        pytest.param("inaccurate", {}, 0.5, id="lower accuracy"),
    ],
)
def test_harmful_candidate_is_rolled_back(
    cluster: Cluster, champion: str, name: str, fault: dict[str, Any], correct: float
) -> None:
    deploy_candidate(cluster, version_of(cluster, **fault))
    create(cluster, name)
    behaviour = {
        STABLE: {"converted": 0.3, "correct": 0.9},
        CANDIDATE: {"converted": 0.3, "correct": correct},
    }
    status = decided(cluster, name, behaviour)
    assert status["phase"] == "RolledBack", status
    assert cluster.gateway_weights(MODEL) == {STABLE: 1000}
    assert cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS) == champion


def test_weights_survive_update_refresh_and_a_killed_controller_in_the_middle_of_an_experiment(
    cluster: Cluster, champion: str
) -> None:
    deploy_candidate(cluster, champion)
    create(cluster, "undisturbed", ramp={"durationSeconds": 0, "steps": 1}, **_HARD_TO_FIND)
    expected = {STABLE: 500, CANDIDATE: 500}
    with Application(cluster, MODEL, {STABLE: {"converted": 0.3}, CANDIDATE: {"converted": 0.3}}, concurrency=2):
        eventually(lambda: cluster.gateway_weights(MODEL) == expected, within_seconds=60, what="half of the users")
        before = cluster.inventory()
        cluster.platform.stack.preview(expect_no_changes=True)
        cluster.platform.stack.up()
        cluster.platform.stack.refresh(expect_no_changes=True)
        assert cluster.gateway_weights(MODEL) == expected
        split = f"VirtualService/{contracts.split_route_name(MODEL)}"
        assert cluster.inventory()[split] == before[split]
        cluster.kubectl(
            "delete", "pod", "-l", "app.kubernetes.io/name=experiment-controller", "--grace-period=0", "--force"
        )
        cluster.set_weights(MODEL, {STABLE: 900, CANDIDATE: 100})
        eventually(
            lambda: cluster.gateway_weights(MODEL) == expected, within_seconds=60, what="drifted weights are repaired"
        )
    assert status_of(cluster, "undisturbed")["phase"] in {"Running", "Ramping"}


def test_missing_metrics_never_decide_when_prometheus_is_down(cluster: Cluster, champion: str) -> None:
    deploy_candidate(cluster, champion)
    create(cluster, "blind", noData={"staleAfterSeconds": 15, "timeoutSeconds": 600})
    workload = f"statefulset/{contracts.PROMETHEUS_SERVICE}"
    cluster.kubectl("scale", workload, "--replicas=0")
    try:
        better = {STABLE: {"converted": 0.1, "correct": 0.9}, CANDIDATE: {"converted": 0.9, "correct": 0.9}}
        with Application(cluster, MODEL, better):
            eventually(
                lambda: status_of(cluster, "blind").get("phase") == "HoldNoData",
                within_seconds=90,
                what="the experiment holds",
            )
            time.sleep(10)
        assert status_of(cluster, "blind")["phase"] == "HoldNoData"
        assert cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS) == champion
    finally:
        cluster.kubectl("scale", workload, "--replicas=1")
        cluster.kubectl("rollout", "status", workload, "--timeout=120s")


def test_person_stops_an_experiment_by_the_api_and_is_on_record(cluster: Cluster, champion: str) -> None:
    deploy_candidate(cluster, champion)
    api = Api(cluster)
    code, document = api.call("POST", "", {"name": "stopped", "spec": spec(**_HARD_TO_FIND)})
    assert code == 201, document
    eventually(
        lambda: status_of(cluster, "stopped").get("phase") in {"Ramping", "Running"}, within_seconds=60, what="it runs"
    )
    code, document = api.call("POST", "/stopped/stop", {"why": "wrong text on the page"})
    assert code in {200, 202}, document
    eventually(lambda: status_of(cluster, "stopped").get("phase") == "Cancelled", within_seconds=60, what="it stops")
    eventually(
        lambda: "wrong text on the page" in json.dumps(api.call("GET", "/stopped/history")[1]),
        within_seconds=30,
        what="the history names the reason",
    )


def test_experiment_is_refused_with_its_numbers_when_its_sample_is_out_of_reach(cluster: Cluster) -> None:
    code, document = Api(cluster).call(
        "POST", "", {"name": "hopeless", "spec": spec(**{**_HARD_TO_FIND, "expectedUnitsPerDay": 1_000})}
    )
    assert code == 422, document
    assert "/spec" in json.dumps(document), document
    assert "hopeless" not in cluster.kubectl("get", "abtests.mlplatform.dev", "-o", "name")
