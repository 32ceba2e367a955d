"""The `mlp` command line: options, output and exit codes. What the commands do is in the other modules.

Those are imported when a command runs: `mlp --help` and completion must not wait for database drivers.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer
from typer.core import TyperGroup

from ml.cli.delivery.app import register as register_delivery
from ml.cli.errors import UserError
from ml.cli.experiment.app import experiment
from ml.cli.pipeline.app import pipeline
from ml.cli.policy.app import policy
from ml.cli.render.app import register as register_render
from ml.reporting.app import register as register_reports

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rich.console import Console

    from ml.cli.connection import Connection
    from ml.cli.kubectl import Kubectl
    from ml.cli.outputs import StackOutputs

_T = TypeVar("_T")
_WIDTH_WITHOUT_TERMINAL: Final = 160
_VERIFY_SECONDS: Final = 28.0
"""How long `mlp verify` may take in all; what is not done by then has failed."""
_LEAST_CHECK_SECONDS: Final = 5.0

EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130


class _Commands(TyperGroup):
    """Turns the errors that a person can repair into two lines and an exit code."""

    def invoke(self, ctx: Any) -> object:
        try:
            return super().invoke(ctx)
        except UserError as error:
            typer.echo(f"error: {error.what}\nremedy: {error.remedy}", err=True)
            raise typer.Exit(EXIT_FAILED) from None
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Look at and use a running ML platform. Addresses and names come from the outputs of its stack.",
)

register_reports(app)
register_render(app)
register_delivery(app)
app.add_typer(experiment, name="experiment")
app.add_typer(pipeline, name="pipeline")
app.add_typer(policy, name="policy")

_Json = Annotated[bool, typer.Option("--json", help="Print data instead of tables.")]


@app.callback()
def options(
    context: typer.Context,
    stack: Annotated[
        str, typer.Option(envvar="MLP_STACK", help="Stack to act on; `local` is what `make up` started.")
    ] = "local",
    kube_context: Annotated[
        str | None,
        typer.Option("--context", envvar="MLP_CONTEXT", help="Kubeconfig context; the current one by default."),
    ] = None,
) -> None:
    """Remember the options that every command shares."""
    context.obj = (stack, kube_context)


@app.command()
def status(context: typer.Context, as_json: _Json = False) -> None:
    """Show what is ready, which version each slot serves, and why something is not ready."""
    from ml.cli.status.report import read_report
    from ml.cli.status.table import render

    stack = _connection(context).stack
    report = _act(context, lambda kubectl, outputs: read_report(kubectl, outputs, stack))
    if as_json:
        _print_json(report.as_data())
    else:
        render(report, _console())


@app.command()
def verify(context: typer.Context, as_json: _Json = False) -> None:
    """Use each component once: write, read, log, predict. Exit code 1 if anything fails."""
    import time
    import uuid

    from ml.cli.verify.check import Outcome, run_checks
    from ml.cli.verify.plan import plan_checks
    from ml.cli.verify.table import as_data, render

    deadline = time.monotonic() + _VERIFY_SECONDS
    token = f"mlp-verify-{uuid.uuid4().hex}"

    async def check(kubectl: Kubectl, outputs: StackOutputs) -> list[Outcome]:
        left_seconds = max(deadline - time.monotonic(), _LEAST_CHECK_SECONDS)
        return await run_checks(plan_checks(kubectl, outputs, token), timeout_seconds=left_seconds)

    outcomes = _act(context, check)
    if as_json:
        _print_json(as_data(outcomes))
    else:
        render(outcomes, _console())
    if not all(outcome.ok for outcome in outcomes):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def prerequisites(context: typer.Context, as_json: _Json = False) -> None:
    """Before anything is created: see that the cluster has what the stack expects. Exit code 1 if it has not."""
    from ml.cli import prerequisites as wanted
    from ml.cli.kubectl import Kubectl

    connection = _connection(context)
    expected = wanted.expected(connection.project_dir, connection.stack)
    cluster = expected.connection(connection)
    findings = wanted.check(Kubectl(cluster), expected.names)
    refused = wanted.refusal(connection.stack, findings, cluster.context)
    if as_json:
        _print_json({"stack": connection.stack, "prerequisites": [finding.as_data() for finding in findings]})
    else:
        for finding in findings:
            if not finding.problems:
                typer.echo(f"{finding.title} is there")
        if refused is not None:
            raise refused
    if refused is not None:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def predict(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    text: Annotated[str, typer.Argument(help="What to predict from.")],
    slot: Annotated[str | None, typer.Option(help="Ask this slot directly, past the gateway.")] = None,
    user: Annotated[str | None, typer.Option(help="User id: the same user meets the same slot.")] = None,
    as_json: _Json = False,
) -> None:
    """Ask a model for one prediction."""
    import json
    from dataclasses import asdict

    from ml.cli.predict import ask_model

    answer = _act(context, lambda kubectl, outputs: ask_model(kubectl, outputs, model, text, slot=slot, user=user))
    if as_json:
        _print_json(asdict(answer))
    else:
        typer.echo(json.dumps(answer.prediction, indent=2, ensure_ascii=False))
        typer.echo(f"from slot {answer.slot or 'unknown'} in {answer.milliseconds:g} ms", err=True)


@app.command()
def assign(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="MODEL/SLOT", help="A slot of a model.")],
    version: Annotated[str, typer.Argument(help="Number of a registered version.")],
) -> None:
    """Let a slot serve a version: point the registry's alias that it follows at it. The slot loads it by itself."""
    from ml.cli.assign import assign as run

    made = _act(context, lambda kubectl, outputs: run(kubectl, outputs, target, version))
    typer.echo(f"{made}; `mlp status` shows when it is served")


@app.command("open")
def open_(
    context: typer.Context,
    show_secrets: Annotated[bool, typer.Option("--show-secrets", help="Print passwords as well.")] = False,
    as_json: _Json = False,
) -> None:
    """List the platform's addresses and how to reach them and log in."""
    from ml.cli import addresses

    async def collect(kubectl: Kubectl, outputs: StackOutputs) -> addresses.Directory:
        return await addresses.directory(kubectl, outputs, show_secrets=show_secrets)

    found = _act(context, collect)
    if as_json:
        _print_json(found.as_data())
    else:
        typer.echo("\n".join(found.as_lines()))


@app.command()
def logs(
    context: typer.Context,
    component: Annotated[str, typer.Argument(help="A component, a model, or MODEL/SLOT.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines.")] = False,
    tail: Annotated[int, typer.Option(min=0, help="Lines per container to start with.")] = 100,
) -> None:
    """Show what a component has written: tracking-server, controller, api, prometheus, database-exporter, gateway,
    istiod, a model or one of its slots; metadata-db and object-store where the platform runs them."""
    from ml.cli.kubectl import Kubectl
    from ml.cli.logs import log_commands, show_logs

    commands = _act(
        context,
        lambda kubectl, outputs: log_commands(kubectl, outputs, component, follow=follow, tail=tail),
    )
    raise typer.Exit(show_logs(Kubectl(_connection(context)), commands))


@app.command()
def train(
    context: typer.Context,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Train all models, also those with a champion: their new versions become candidate-a."
        ),
    ] = False,
) -> None:
    """Train the models that have no champion in a Kubernetes Job, and follow its log."""
    from ml.cli.train.follow import train as run_training

    def say(line: str) -> None:
        typer.echo(line)
        sys.stdout.flush()

    try:
        _act(context, lambda kubectl, outputs: run_training(kubectl, outputs, force=force, say=say))
    except KeyboardInterrupt:
        typer.echo("\nleft: training goes on in the cluster, `mlp train` joins it again", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def main() -> None:
    """Run the command line; the entry point `mlp`."""
    # Also where a shell made its background jobs deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    app()


def _connection(context: typer.Context) -> Connection:
    from ml.cli.connection import connect

    stack, kube_context = context.obj
    return connect(stack, kube_context, os.environ, Path.cwd())


def _act(context: typer.Context, action: Callable[[Kubectl, StackOutputs], Awaitable[_T]]) -> _T:
    """Find the platform and do something with it."""
    import asyncio

    from ml.cli.session import act

    return asyncio.run(act(_connection(context), action))


def _print_json(data: object) -> None:
    import json

    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL)
