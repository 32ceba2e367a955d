"""Starts a run or joins the one that is going on, and shows its steps until it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from ml.cli.errors import UserError
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import Pipelines, StackOutputs
from ml.cli.pipeline.compiling import compile_pipeline
from ml.cli.pipeline.service import LostError, PipelinesApi, Run
from ml.cli.train.follow import champions, train
from ml.contracts import TRAINING_PIPELINE

_POLL_SECONDS: Final = 2.0
_MOST_LOSSES: Final = 5
"""How often in a row the service may fail to answer before following a run is given up."""

Say = Callable[[str], None]


async def run_pipeline(kubectl: Kubectl, outputs: StackOutputs, *, force: bool, say: Say) -> None:
    """Train the models that have no champion, or all of them with `force`, where this stack runs pipelines.

    Raises:
        UserError: the run failed or could not start.
    """
    service = outputs.pipelines
    if service is None:
        say("this stack has no pipeline service: Kubeflow's local runner runs the pipeline in a Job")
        await train(kubectl, outputs, force=force, say=say)
        return
    started = await _start_or_join(kubectl, outputs, service, force=force, say=say)
    if started is not None:
        await _follow(kubectl, service, started, say)


async def stop_pipeline(kubectl: Kubectl, outputs: StackOutputs, *, say: Say) -> None:
    """End the runs that are going on.

    Raises:
        UserError: this stack has no pipeline service, or it does not answer.
    """
    service = outputs.pipelines
    if service is None:
        raise UserError(
            "this stack has no pipeline service", "end the Job of `mlp train` with `kubectl delete job NAME`"
        )
    try:
        async with kubectl.forward(service.namespace, f"service/{service.service}", service.port) as port:
            api = _api(port)
            runs = await api.going_on(TRAINING_PIPELINE)
            for run in runs:
                await api.terminate(run.id)
                say(f"{run.name} ({run.id}) is being ended")
    except LostError as error:
        raise _silent(error) from None
    if not runs:
        say("no run is going on")


async def _start_or_join(
    kubectl: Kubectl, outputs: StackOutputs, service: Pipelines, *, force: bool, say: Say
) -> Run | None:
    """Return the run to follow; None if there is nothing to train."""
    try:
        async with kubectl.forward(service.namespace, f"service/{service.service}", service.port) as port:
            api = _api(port)
            running = await api.going_on(TRAINING_PIPELINE)
            if running:
                say(f"{running[0].name} ({running[0].id}) is already going on, joining it")
                return running[0]
            known = {} if force else await champions(outputs)
            models = [model for model in outputs.models if model not in known]
            if not models:
                say("nothing to train, every model has a champion (train anew with --force)")
                return None
            specification = await compile_pipeline(
                image=outputs.training.image,
                models=models,
                tracking_url=service.tracking_url,
                environment=kubectl.environment,
            )
            run = await api.create(f"{TRAINING_PIPELINE} {time.strftime('%Y-%m-%d %H:%M:%S')}", specification)
            say(f"{run.name} ({run.id}) started for {', '.join(models)}")
            return run
    except LostError as error:
        raise _silent(error) from None


async def _follow(kubectl: Kubectl, service: Pipelines, run: Run, say: Say) -> None:
    """Show the steps of a run until it ends; a connection that breaks is made again."""
    began = time.monotonic()
    shown: dict[str, str] = {}
    losses = 0
    while True:
        try:
            async with kubectl.forward(service.namespace, f"service/{service.service}", service.port) as port:
                while True:
                    run = await _api(port).run(run.id)
                    losses = 0
                    _show(run, shown, time.monotonic() - began, say)
                    if not run.is_going_on:
                        _finish(service, run, say)
                        return
                    await asyncio.sleep(_POLL_SECONDS)
        except LostError as error:
            losses += 1
            if losses >= _MOST_LOSSES:
                raise _silent(error) from None
            say(f"the service does not answer ({error}), asking again")
            await asyncio.sleep(_POLL_SECONDS)


def _show(run: Run, shown: dict[str, str], seconds: float, say: Say) -> None:
    """Say what has changed since the last look."""
    for step in run.steps:
        if shown.get(step.name) != step.state:
            shown[step.name] = step.state
            say(f"[{seconds:5.0f}s] {step.name}: {step.state.lower()}")


def _finish(service: Pipelines, run: Run, say: Say) -> None:
    if run.is_good:
        say(f"{run.name}: done")
        return
    failed = [f"{step.name}: {step.error}" if step.error else step.name for step in run.steps if step.state == "FAILED"]
    why = "; ".join(failed) or run.error or "the service does not say why"
    raise UserError(
        f"{run.name} ended as {run.state.lower()}: {why}",
        f"kubectl logs --namespace {service.namespace} --selector pipeline/runid={run.id} --container main",
    )


def _api(port: int) -> PipelinesApi:
    return PipelinesApi(f"http://127.0.0.1:{port}")


def _silent(error: LostError) -> UserError:
    return UserError(
        f"the pipeline service does not answer: {error}",
        "see `kubectl logs deployment/ml-pipeline` in its namespace; a run that was started goes on",
    )
