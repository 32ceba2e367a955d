"""The commands of `mlp policy`: options, output and exit codes. What they do is imported when one runs."""

from __future__ import annotations

import sys
from datetime import UTC
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from policies._model import Resource
    from policies.configuration import Configuration
    from policies.engine import Report

_EXIT_FAILED = 1

policy = typer.Typer(
    no_args_is_help=True,
    help="What the platform refuses to deploy: judge a stack or a cluster, show repairs, explain rules.",
)

_Stack = Annotated[str, typer.Argument(help="Stack, as in Pulumi.STACK.yaml.")]
_Format = Annotated[Literal["table", "json", "sarif"], typer.Option("--format", help="How to print findings.")]


@policy.command()
def check(stack: _Stack, form: _Format = "table") -> None:
    """Judge what a stack would deploy, without engine or cluster. Exit code 1 if anything is refused."""
    from ml.cli.policy.rendering import started

    with started(stack) as rendering:
        # Rules and configuration are read while the program runs; a mistake in them still comes before any verdict.
        from policies.engine import evaluate

        configuration = _configuration()
        report = evaluate(rendering.resources(), configuration, stack)
    _show(report, form)


@policy.command()
def audit(context: typer.Context, form: _Format = "table") -> None:
    """Judge what really lies in the cluster of `--stack`. Exit code 1 if anything would be refused today."""
    import asyncio
    import os
    from pathlib import Path

    from ml.cli.connection import connect
    from ml.cli.kubectl import Kubectl
    from ml.cli.outputs import StackOutputs
    from ml.cli.policy import live
    from ml.cli.session import act
    from policies.engine import evaluate

    configuration = _configuration()
    stack, kube_context = context.obj
    connection = connect(stack, kube_context, os.environ, Path.cwd())

    async def read(kubectl: Kubectl, outputs: StackOutputs) -> list[Resource]:
        return await live.read(kubectl, outputs.namespace)

    _show(evaluate(asyncio.run(act(connection, read)), configuration, connection.stack), form)


@policy.command()
def fix(stack: _Stack) -> None:
    """Print a JSON patch for every violation that can be repaired without changing what runs; changes nothing."""
    import json

    from policies.engine import evaluate
    from policies.fixing import patch
    from policies.report import ordered

    report = evaluate(_rendered(stack), _configuration(), stack)
    patches = [(item, patch(item)) for item in ordered(report)]
    for item, operations in patches:
        if operations:
            typer.echo(f"# {item.rule.id}: {item.finding.resource.title}\n{json.dumps(operations, indent=2)}")
    if not any(operations for _, operations in patches):
        typer.echo("nothing that a rule knows how to repair")


@policy.command()
def explain(rule: Annotated[str, typer.Argument(help="Id of a rule.")]) -> None:
    """Say what a rule demands, why, and how to keep it."""
    from ml.cli.errors import UserError
    from policies.docs import section
    from policies.registry import BY_ID

    if rule not in BY_ID:
        raise UserError(f"there is no rule `{rule}`", "docs/policies.md lists them all")
    typer.echo(section(BY_ID[rule]))


def _configuration() -> Configuration:
    from datetime import datetime

    from ml.cli.errors import UserError
    from policies.configuration import ConfigurationError, load

    try:
        return load(datetime.now(UTC).date())
    except ConfigurationError as error:
        raise UserError(str(error), "correct policies/policies.toml") from None


def _rendered(stack: str) -> list[Resource]:
    from ml.cli.policy.rendering import render

    return render(stack)


def _show(report: Report, form: str) -> None:
    import json

    from policies.report import as_data, as_sarif

    if form == "table":
        from ml.cli.policy.table import render

        render(report, wide=not sys.stdout.isatty())
    else:
        typer.echo(json.dumps(as_data(report) if form == "json" else as_sarif(report), indent=2))
    if report.refuses:
        raise typer.Exit(_EXIT_FAILED)
