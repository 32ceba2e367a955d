"""The commands of `mlp pipeline`: options, output and exit codes. What they do is imported when one runs."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from ml.cli.kubectl import Kubectl
    from ml.cli.outputs import StackOutputs

_T = TypeVar("_T")
_EXIT_INTERRUPTED = 130

pipeline = typer.Typer(
    no_args_is_help=True,
    help="Pipelines: in the pipeline service of a stack that has one, else in a Job by Kubeflow's local runner.",
)


@pipeline.command()
def run(
    context: typer.Context,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Train all models, also those with a champion: their new versions become candidate-a."
        ),
    ] = False,
) -> None:
    """Train the models that have no champion, and follow the run; one that is going on already is joined."""
    from ml.cli.pipeline.running import run_pipeline

    try:
        _act(context, lambda kubectl, outputs: run_pipeline(kubectl, outputs, force=force, say=_say))
    except KeyboardInterrupt:
        typer.echo(
            "\nleft: the run goes on in the cluster; `mlp pipeline run` joins it again, `mlp pipeline stop` ends it",
            err=True,
        )
        raise typer.Exit(_EXIT_INTERRUPTED) from None


@pipeline.command()
def stop(context: typer.Context) -> None:
    """End the runs that are going on; what they have registered stays."""
    from ml.cli.pipeline.running import stop_pipeline

    _act(context, lambda kubectl, outputs: stop_pipeline(kubectl, outputs, say=_say))


def _say(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()


def _act(context: typer.Context, action: Callable[[Kubectl, StackOutputs], Awaitable[_T]]) -> _T:
    """Find the platform and do something with it."""
    import asyncio
    import os
    from pathlib import Path

    from ml.cli.connection import connect
    from ml.cli.session import act

    stack, kube_context = context.obj
    return asyncio.run(act(connect(stack, kube_context, os.environ, Path.cwd()), action))
