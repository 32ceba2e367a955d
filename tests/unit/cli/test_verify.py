"""`mlp verify` over services that answer from a table; each check against the real service is end to end."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ml.cli.app import app
from ml.cli.verify import monitoring
from ml.cli.verify.database import ROUND_TRIP
from ml.contracts import MEASURED_JOBS
from tests.unit.cli.platform import FakePlatform
from tests.unit.cli.test_status import MODEL, split

PREDICT = f"/v1/models/{MODEL}:predict"
PREDICTION = (200, {"predictions": [{"score": 0.5}]})

TARGETS = "/api/v1/targets?state=active"
SERIES = "/api/v1/query?query=%7B__name__%3D~%22pg_up%7Cmlplatform_sync_wanted_version%22%7D%5B5m%5D"
INSTANCES = ("10.0.0.1", "10.0.0.2")


def measured(platform: FakePlatform, *jobs: str, down: str = "", database: int = 1, wanted: int = 3) -> None:
    """Let Prometheus measure two targets of each of the jobs, of which one job's second may be down.

    `database` is what the exporters say of PostgreSQL, `wanted` the version of the model in the second slot; the pod
    that had its address before wanted version 2.
    """
    active = [
        {"labels": {"job": job, "instance": at}, "health": "down" if (job, at) == (down, INSTANCES[1]) else "up"}
        for job in jobs
        for at in INSTANCES
    ]
    series = [
        *(sampled("pg_up", "metadata-db", at, {1000.0: database}) for at in INSTANCES),
        sampled("mlplatform_sync_wanted_version", "version-sync", INSTANCES[1], {900.0: wanted, 1000.0: wanted}),
        sampled("mlplatform_sync_wanted_version", "version-sync", INSTANCES[1], {700.0: 2, 800.0: 2}),
    ]
    platform.web.answers[("GET", "localhost", TARGETS)] = (200, {"data": {"activeTargets": active}})
    platform.web.answers[("GET", "localhost", SERIES)] = (200, {"data": {"result": series}})


def sampled(name: str, job: str, instance: str, samples: dict[float, int]) -> dict[str, Any]:
    values = [[at, str(value)] for at, value in samples.items()]
    return {"metric": {"__name__": name, "job": job, "instance": instance}, "values": values}


def pod(address: str, state: str) -> dict[str, Any]:
    return {"status": {"podIP": address, "containerStatuses": [{"state": {state: {}}}]}}


def verify(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify", *arguments])


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "PATIENCE_SECONDS", 0.0)


def outcomes(platform: FakePlatform) -> dict[tuple[str, str], dict[str, Any]]:
    result = verify("--json")
    assert result.exit_code == 1  # there is no database behind the table
    return {(it["component"], it["check"]): it for it in json.loads(result.stdout)["checks"]}


@pytest.fixture
def serving(platform: FakePlatform) -> FakePlatform:
    """A platform whose gateway, models and controller work."""
    for host in ("ml.example.org", "localhost"):
        platform.web.answers[("POST", host, PREDICT)] = PREDICTION
    platform.web.answers[("GET", "mlflow.example.org", "/health")] = (200, "OK")
    platform.web.answers[("GET", "minio.example.org", "/")] = (200, "OK")
    platform.tunnel("deployment/content-quality-model-stable", 8501)
    platform.rule("kubectl", "get", "content-quality-model-split", stdout=json.dumps(split(100, 0)))
    platform.rule("kubectl", "exec")
    platform.tunnel("service/prometheus", 9090)
    platform.objects("pods", items=[pod(at, "running") for at in INSTANCES])
    measured(platform, *MEASURED_JOBS)
    return platform


def test_what_works_and_what_does_not_is_told_apart_when_some_parts_fail(serving: FakePlatform) -> None:
    found = outcomes(serving)
    failed = {component for (component, _), it in found.items() if not it["ok"]}
    assert failed == {"metadata-db", "object-store", "tracking-server", "api"}
    assert found["controller", f"keep the split of {MODEL}"]["detail"] == "stable 100 %, candidate-a 0 %"
    for it in found.values():
        assert it["ok"] or (it["detail"] and it["remedy"])


def test_table_ends_with_remedies_and_exit_code_1_when_a_check_fails(serving: FakePlatform) -> None:
    serving.web.answers[("POST", "ml.example.org", PREDICT)] = (503, {"error": "no healthy upstream"})
    result = verify()
    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    assert f"{MODEL}, predict through the gateway:" in result.stdout
    assert "no healthy upstream" in result.stdout
    assert "remedy: see `mlp status` and `mlp logs`" in result.stdout
    assert result.stdout.rstrip().endswith("6 of 11 checks passed")


@pytest.mark.parametrize(
    ("jobs", "changed", "says"),
    [
        *((sorted(set(MEASURED_JOBS) - {job}), {}, f"there is no target of {job}") for job in MEASURED_JOBS),
        *((MEASURED_JOBS, {"down": job}, f"nothing is measured of {job} (10.0.0.2)") for job in MEASURED_JOBS),
        (MEASURED_JOBS, {"database": 0}, "the exporter of metadata-db does not reach the database"),
    ],
)
def test_prometheus_is_blamed_when_a_target_is_missing_or_down(
    serving: FakePlatform, jobs: Sequence[str], changed: dict[str, Any], says: str
) -> None:
    measured(serving, *jobs, **changed)
    found = outcomes(serving)["prometheus", "measure every part"]
    assert not found["ok"]
    assert says in found["detail"]
    assert "/targets" in found["remedy"]


@pytest.mark.parametrize("state", ["waiting", "gone"])
def test_pod_that_does_not_run_is_no_failure_when_others_of_its_kind_are_measured(
    serving: FakePlatform, state: str
) -> None:
    serving.objects("pods", items=[pod(INSTANCES[1], state)] if state == "waiting" else [])
    measured(serving, *MEASURED_JOBS, down="version-sync")
    found = outcomes(serving)["prometheus", "measure every part"]
    assert found["ok"], found


def test_slot_that_is_to_serve_nothing_is_no_failure_when_its_model_server_waits(serving: FakePlatform) -> None:
    measured(serving, *MEASURED_JOBS, down="model-server", wanted=0)
    found = outcomes(serving)["prometheus", "measure every part"]
    assert found["ok"], found
    assert found["detail"] == "15 targets of 8 kinds answer"


@pytest.mark.parametrize(
    ("status", "says"), [(200, "without a token the API answered 200, not 401"), (401, "with 401")]
)
def test_api_is_blamed_when_it_lets_everybody_in_or_nobody(serving: FakePlatform, status: int, says: str) -> None:
    token = base64.b64encode(b"r" * 32).decode()
    serving.rule("kubectl", "get", "api-tokens", stdout=json.dumps({"data": {"read": token}}))
    serving.web.answers[("GET", "api.example.org", "/ml/ab-tests")] = (status, {})
    found = outcomes(serving)["api", "list experiments, and refuse whoever has no token"]
    assert not found["ok"]
    assert says in found["detail"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({}, "the split has the slots [], declared are ['candidate-a', 'stable']"),
        (None, "the split content-quality-model-split is not there"),
    ],
)
def test_controller_is_blamed_when_the_split_is_incomplete(
    serving: FakePlatform, answer: dict[str, Any] | None, says: str
) -> None:
    if answer is None:
        refusal = "Error from server (NotFound): virtualservices not found\n"
        serving.rule("kubectl", "get", "content-quality-model-split", stderr=refusal, exit_code=1)
    else:
        serving.rule("kubectl", "get", "content-quality-model-split", stdout=json.dumps(answer))
    found = outcomes(serving)["controller", f"keep the split of {MODEL}"]
    assert found["ok"] is False
    assert says in found["detail"]
    assert found["remedy"] == "see `mlp logs controller`"


def test_unresolved_names_are_listed_when_dns_fails(serving: FakePlatform) -> None:
    serving.rule("kubectl", "exec", stdout="metadata-db ([Errno -2] Name or service not known)\n")
    found = outcomes(serving)["dns", "resolve the names of the services"]
    assert found["ok"] is False
    assert "metadata-db ([Errno -2] Name or service not known)" in found["detail"]
    assert "k8s-app=kube-dns" in found["remedy"]


# A database of the cloud --------------------------------------------------------------------------------------------

HOST = "one-metadata-db.abc.eu-central-1.rds.amazonaws.com"


@pytest.fixture
def in_cloud(serving: FakePlatform) -> FakePlatform:
    """The same platform with a database that answers to pods only."""
    secrets = {name: f"metadata-db-{name}" for name in ("mlflow", "events", "billing")}
    serving.set_outputs(
        metadataDb={
            "kind": "rds",
            "host": HOST,
            "port": 5432,
            "adminSecret": "metadata-db-admin",
            "consumers": secrets,
        }
    )
    return serving


def answering(platform: FakePlatform, told: str) -> dict[str, Any]:
    """Let the script in the tracking server's pod print this."""
    platform.rule("kubectl", "exec", "deployment/tracking-server", ROUND_TRIP, stdout=told)
    return outcomes(platform)["metadata-db", "write and read a row as mlflow"]


def test_row_is_written_from_the_consumers_pod_when_only_pods_reach_the_database(
    in_cloud: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=1))
    found = answering(in_cloud, f"mlp-verify-{1:032x}\nmlflow\nmlflow\nTLSv1.3\n")
    assert found["ok"], found
    assert found["detail"] == "as mlflow in mlflow, by TLSv1.3, from deployment/tracking-server"
    asked = [call["arguments"] for call in in_cloud.calls("kubectl")]
    assert not any("metadata-db-mlflow" in arguments for arguments in asked), "the pod has its own variables"
    assert not any("service/metadata-db" in arguments for arguments in asked)


def test_database_is_blamed_when_another_row_comes_back(in_cloud: FakePlatform) -> None:
    found = answering(in_cloud, "another\n")
    assert not found["ok"]
    assert "and read 'another' in deployment/tracking-server" in found["detail"]


def test_table_says_what_cannot_be_checked_when_no_pod_of_a_consumer_is_known(in_cloud: FakePlatform) -> None:
    found = outcomes(in_cloud)["metadata-db", "write and read a row as billing"]
    assert not found["ok"]
    assert found["detail"] == "billing cannot be checked: no pod is known that uses it, and it answers to pods alone"


def test_name_of_the_database_is_resolved_in_a_pod_when_the_cloud_runs_it(in_cloud: FakePlatform) -> None:
    outcomes(in_cloud)
    asked = [call["arguments"] for call in in_cloud.calls("kubectl") if "exec" in call["arguments"]]
    assert any(HOST in arguments for arguments in asked)
