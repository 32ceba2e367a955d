"""Starts a training Job, or joins the one that runs, and shows its log until it ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, Final

from ml.cli.errors import UserError
from ml.cli.http import gateway_endpoint
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.cli.status.workloads import pod_reason
from ml.cli.tools import running
from ml.cli.tracking import MLFLOW_API
from ml.cli.train.job import (
    CONTAINER,
    SELECTOR,
    JobState,
    active_job,
    failure_of,
    has_started,
    job_state,
    next_name,
    training_job,
)
from ml.contracts import CHAMPION_ALIAS

_POLL_SECONDS: Final = 1.0
_REPEAT_SECONDS: Final = 15.0
"""How often an unchanged reason for waiting is said again."""
_STUCK_SECONDS: Final = 120.0
"""How long a container may fail to start before training counts as failed."""
_HOPELESS: Final = ("ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError")

_JOB_NAME_LABEL: Final = "batch.kubernetes.io/job-name"

Say = Callable[[str], None]


async def champions(outputs: StackOutputs) -> dict[str, str]:
    """Return the version of each model that has a champion, as far as the tracking server answers."""
    found: dict[str, str] = {}
    for model in outputs.models:
        try:
            answer = await gateway_endpoint(outputs, "mlflow").ask(
                "GET", f"{MLFLOW_API}/registered-models/alias?name={model}&alias={CHAMPION_ALIAS}"
            )
            if answer.is_success:
                found[model] = str(answer.json()["model_version"]["version"])
        except (UserError, ValueError, KeyError):
            continue  # without an answer the pipeline itself finds out
    return found


async def train(kubectl: Kubectl, outputs: StackOutputs, *, force: bool, say: Say) -> None:
    """Train the models that have no champion, or all of them with `force`.

    Raises:
        UserError: training failed or could not start.
    """
    if not force:
        known = await champions(outputs)
        if set(known) == set(outputs.models):
            say("nothing to train, every model has a champion (train anew with --force):")
            for model, version in known.items():
                say(f"  {model} version {version}")
            return
    name = await _start_or_join(kubectl, outputs, force=force, say=say)
    await _wait_for_start(kubectl, outputs.namespace, name, say)
    while True:
        await _show_log(kubectl, outputs.namespace, name)
        state, job = await _settled(kubectl, outputs.namespace, name)
        if state is JobState.SUCCEEDED:
            say(f"{name}: done")
            return
        if state is JobState.FAILED:
            raise UserError(
                f"{name} failed: {failure_of(job) or 'see its log above'}",
                "repair what the log above names, then run `mlp train` again",
            )
        say(f"{name}: the log broke off, joining again")


async def _start_or_join(kubectl: Kubectl, outputs: StackOutputs, *, force: bool, say: Say) -> str:
    jobs = await kubectl.items(outputs.namespace, "jobs", f"--selector={SELECTOR}")
    running = active_job(jobs)
    if running is not None:
        say(f"{running} is already running, joining it")
        return running
    name = next_name(jobs)
    manifest = training_job(outputs, name, force=force)
    try:
        await kubectl.run("create", "--filename=-", stdin=json.dumps(manifest))
    except UserError as error:
        if "AlreadyExists" not in error.what:
            raise
        say(f"{name} has just been started by somebody else, joining it")
    else:
        say(f"{name} started with {outputs.training.image}")
    return name


async def _wait_for_start(kubectl: Kubectl, namespace: str, name: str, say: Say) -> None:
    """Wait until there is a log to read, and say what it is waiting for."""
    began = said_at = time.monotonic()
    said = ""
    while True:
        items = await kubectl.items(namespace, "jobs,pods", f"--selector={SELECTOR}")
        pods = [item for item in items if item["metadata"]["labels"].get(_JOB_NAME_LABEL) == name]
        jobs = [item for item in items if item["kind"] == "Job" and item["metadata"]["name"] == name]
        if has_started(pods) or any(job_state(job) is not JobState.ACTIVE for job in jobs):
            return
        if not jobs:
            raise UserError(f"{name} has been removed while it waited", "run `mlp train` again")
        reason = "; ".join(filter(None, (pod_reason(pod) for pod in pods))) or "no pod yet"
        now = time.monotonic()
        if reason != said or now - said_at > _REPEAT_SECONDS:
            say(f"[{now - began:3.0f}s] waiting for the pod of {name}: {reason}")
            said, said_at = reason, now
        if any(sign in reason for sign in _HOPELESS) or now - began > _STUCK_SECONDS:
            raise UserError(
                f"{name} does not start: {reason}",
                f"repair that, remove the Job (kubectl delete job {name}) and run `mlp train` again",
            )
        await asyncio.sleep(_POLL_SECONDS)


async def _show_log(kubectl: Kubectl, namespace: str, name: str) -> None:
    """Pass the log on as it is written; ends with the container."""
    command = kubectl.command("logs", "--follow", "--namespace", namespace, f"job/{name}", f"--container={CONTAINER}")
    async with running(command, environment=kubectl.environment, output=None) as process:
        await process.wait()


async def _settled(kubectl: Kubectl, namespace: str, name: str) -> tuple[JobState, dict[str, Any]]:
    """Return the state of a Job whose container has ended; its own state follows a little later."""
    job: dict[str, Any] = {}
    for _ in range(10):
        job = await kubectl.get(namespace, "job", name)
        if job_state(job) is not JobState.ACTIVE:
            break
        await asyncio.sleep(_POLL_SECONDS)
    return job_state(job), job
