"""`mlp train` over a cluster whose Jobs are a table; that a Job really trains is shown end to end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ml.cli.app import app
from ml.cli.outputs import parse_outputs
from ml.cli.train.job import JobState, active_job, failure_of, has_started, job_state, next_name, training_job
from tests.support.schemas import KUBERNETES_VERSIONS, check_kubernetes
from tests.unit.cli.platform import OUTPUTS, FakePlatform

ALIAS = "/api/2.0/mlflow/registered-models/alias?name=content_quality_model&alias=champion"
COMPLETE = {"type": "Complete", "status": "True"}
FAILED = {"type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit"}


def job(name: str, *conditions: dict[str, str]) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "training"}
    return {
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "status": {"conditions": list(conditions)},
    }


def pod(job_name: str, **state: Any) -> dict[str, Any]:
    labels = {"batch.kubernetes.io/job-name": job_name}
    statuses = [{"name": "training", "state": state}]
    return {
        "kind": "Pod",
        "metadata": {"name": "p", "labels": labels},
        "status": {"phase": "Pending", "containerStatuses": statuses},
    }


def train(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["train", *arguments])


def let_it_run(platform: FakePlatform, name: str, end: dict[str, str]) -> None:
    platform.objects("jobs,pods", items=[job(name), pod(name, running={})])
    platform.rule("kubectl", "get", "job", name, stdout=json.dumps(job(name, end)))
    platform.rule("kubectl", "logs", f"job/{name}")


# The manifest and what Jobs mean ------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [False, True])
def test_manifest_is_valid_and_restricted_when_validated_strictly(force: bool) -> None:
    manifest = training_job(parse_outputs(OUTPUTS), "train-models-1", force=force)
    for version in KUBERNETES_VERSIONS:
        check_kubernetes(manifest, version)
    pod_spec = manifest["spec"]["template"]["spec"]
    (container,) = pod_spec["containers"]
    assert ("--force" in container["command"]) is force
    assert {"name": "MLFLOW_TRACKING_URI", "value": "http://tracking-server:5000"} in container["env"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod_spec["securityContext"]["runAsNonRoot"] is True
    assert pod_spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod_spec["automountServiceAccountToken"] is False
    assert manifest["spec"]["ttlSecondsAfterFinished"] == 86_400
    labels = manifest["spec"]["template"]["metadata"]["labels"]
    assert labels["mlplatform.dev/access-tracking-server"] == "true"


def test_next_name_follows_the_highest_number_when_there_were_jobs() -> None:
    assert next_name([]) == "train-models-1"
    assert next_name([job("train-models-9"), job("train-models-10"), job("other-99")]) == "train-models-11"


def test_active_job_is_the_one_without_an_end() -> None:
    jobs = [job("a", COMPLETE), job("b", FAILED)]
    assert active_job(jobs) is None
    assert active_job([*jobs, job("c", {"type": "Complete", "status": "False"})]) == "c"
    assert [job_state(it) for it in jobs] == [JobState.SUCCEEDED, JobState.FAILED]
    assert failure_of(jobs[1]) == FAILED["message"]


def test_job_has_started_once_its_container_runs_or_has_ended() -> None:
    assert not has_started([])
    assert not has_started([pod("a", waiting={"reason": "ContainerCreating"})])
    assert has_started([pod("a", running={})])
    assert has_started([pod("a", terminated={"exitCode": 0})])


# The command --------------------------------------------------------------------------------------------------------


def test_nothing_is_started_when_every_model_has_a_champion(platform: FakePlatform) -> None:
    platform.web.answers[("GET", "mlflow.example.org", ALIAS)] = (200, {"model_version": {"version": "3"}})
    result = train()
    assert result.exit_code == 0, result.stderr
    assert "content_quality_model version 3" in result.output
    assert platform.calls("kubectl") == []


@pytest.mark.parametrize("arguments", [(), ("--force",)])
def test_job_is_started_and_followed_when_there_is_something_to_train(
    platform: FakePlatform, arguments: tuple[str, ...]
) -> None:
    if arguments:
        platform.web.answers[("GET", "mlflow.example.org", ALIAS)] = (200, {"model_version": {"version": "3"}})
    platform.objects("jobs", items=[job("train-models-1", FAILED)])
    platform.rule("kubectl", "create", stdout="job.batch/train-models-2 created\n")
    let_it_run(platform, "train-models-2", COMPLETE)
    result = train(*arguments)
    assert result.exit_code == 0, result.stderr
    assert "train-models-2: done" in result.output
    (created,) = [call for call in platform.calls("kubectl") if "create" in call["arguments"]]
    manifest = json.loads(created["stdin"])
    assert manifest["metadata"]["name"] == "train-models-2"
    assert ("--force" in manifest["spec"]["template"]["spec"]["containers"][0]["command"]) is bool(arguments)


def test_exit_code_is_1_and_kubernetes_says_why_when_training_fails(platform: FakePlatform) -> None:
    platform.objects("jobs", items=[])
    platform.rule("kubectl", "create")
    let_it_run(platform, "train-models-1", FAILED)
    result = train()
    assert result.exit_code == 1
    assert FAILED["message"] in result.stderr


def test_running_job_is_joined_when_train_is_called_again(platform: FakePlatform) -> None:
    platform.objects("jobs", items=[job("train-models-4")])
    let_it_run(platform, "train-models-4", COMPLETE)
    result = train()
    assert result.exit_code == 0, result.stderr
    assert "train-models-4 is already running, joining it" in result.output
    assert not [call for call in platform.calls("kubectl") if "create" in call["arguments"]]


def test_other_s_job_is_joined_when_both_start_at_the_same_moment(platform: FakePlatform) -> None:
    platform.objects("jobs", items=[])
    refusal = 'Error from server (AlreadyExists): error when creating "STDIN": jobs.batch already exists\n'
    platform.rule("kubectl", "create", stderr=refusal, exit_code=1)
    let_it_run(platform, "train-models-1", COMPLETE)
    result = train()
    assert result.exit_code == 0, result.stderr
    assert "started by somebody else" in result.output


def test_error_names_the_image_problem_when_the_pod_cannot_start(platform: FakePlatform) -> None:
    platform.objects("jobs", items=[])
    platform.rule("kubectl", "create")
    waiting = {"reason": "ErrImageNeverPull", "message": "image is not present"}
    platform.objects("jobs,pods", items=[job("train-models-1"), pod("train-models-1", waiting=waiting)])
    result = train()
    assert result.exit_code == 1
    assert "ErrImageNeverPull: image is not present" in result.stderr
