"""The commands of `mlp experiment`: options, output and exit codes. What they do is imported when one runs."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

if TYPE_CHECKING:
    from ml.cli.experiment.access import Scope
    from ml.cli.experiment.client import ApiClient

_T = TypeVar("_T")
_EXIT_FAILED = 1

experiment = typer.Typer(
    no_args_is_help=True,
    help="Experiments on live traffic: create, watch, intervene, report, and derive each decision again.",
)

_Name = Annotated[str, typer.Argument(help="Name of the experiment.")]
_Json = Annotated[bool, typer.Option("--json", help="Print data instead of text.")]
_Why = Annotated[str, typer.Option(help="Reason, kept in the record.")]
_Arm = Annotated[str | None, typer.Option(help="Treatment it is about, where there are several.")]
_Interval = Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")]


@experiment.command()
def create(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Name; asked for if left out.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="YAML or JSON: an ABTest object or its spec; - is stdin.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model to experiment on.")] = None,
    candidate: Annotated[list[str] | None, typer.Option(help="SLOT or SLOT=PERCENT; may be repeated.")] = None,
    metric: Annotated[str | None, typer.Option(help="Metric that decides.")] = None,
    baseline: Annotated[float | None, typer.Option(help="Its expected value under control.")] = None,
    effect: Annotated[float | None, typer.Option(help="Smallest absolute change worth finding.")] = None,
    sd: Annotated[float | None, typer.Option(help="Standard deviation of a user; none for a proportion.")] = None,
    better: Annotated[Literal["increase", "decrease"] | None, typer.Option(help="Direction of improvement.")] = None,
    days: Annotated[float | None, typer.Option(min=0.0007, help="Longest duration.")] = None,
    users_per_day: Annotated[
        int | None, typer.Option(min=1, help="Users of the model per day; measured if left out.")
    ] = None,
    ramp_minutes: Annotated[float | None, typer.Option(min=0, help="Minutes over which shares grow.")] = None,
    open_ended: Annotated[bool, typer.Option("--open-ended", help="Valid at any time, no planned end.")] = False,
    approval: Annotated[bool, typer.Option("--approval", help="A person confirms a promotion.")] = False,
    shadow: Annotated[bool, typer.Option("--shadow", help="Copy requests to the candidate first.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check and print the spec.")] = False,
    as_json: _Json = False,
) -> None:
    """Start an experiment from options, a file, or by answering questions."""
    import json
    import uuid

    from ml.cli.experiment.creation import Asked, checked_request, created_lines

    asked = Asked(
        name=name,
        model=model,
        candidates=tuple(candidate or ()),
        metric=metric,
        baseline=baseline,
        effect=effect,
        standard_deviation=sd,
        better=better,
        days=days,
        users_per_day=users_per_day,
        ramp_minutes=ramp_minutes,
        open_ended=open_ended,
        approval=approval,
        shadow=shadow,
    )
    wanted = checked_request(asked, file, interactive=sys.stdin.isatty())
    if dry_run:
        typer.echo(json.dumps(wanted, indent=2, ensure_ascii=False))
        return
    key = uuid.uuid4().hex
    made = _with_api(context, "decide", lambda api: api.create(str(wanted["name"]), wanted["spec"], key))
    if as_json:
        typer.echo(json.dumps(made, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(created_lines(made)))


@experiment.command("list")
def list_(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    phase: Annotated[str | None, typer.Option(help="Only in this phase.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    as_json: _Json = False,
) -> None:
    """List experiments, newest first."""
    import json

    from ml.cli.experiment.listing import collect, render

    found = _with_api(context, "read", lambda api: collect(api, model=model, phase=phase, limit=limit))
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        render(found)


@experiment.command()
def show(
    context: typer.Context,
    name: _Name,
    once: Annotated[bool, typer.Option("--once", help="Show it once, also on a terminal.")] = False,
    interval: _Interval = 5.0,
    as_json: _Json = False,
) -> None:
    """Show an experiment with its interval over time; on a terminal it stays up to date until it ends."""
    import json

    from ml.cli.experiment.show import show_live, show_once

    if as_json:
        document = _with_api(context, "read", lambda api: api.results(name))
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    elif once or not sys.stdout.isatty():
        _with_api(context, "read", lambda api: show_once(api, name))
    else:
        _with_api(context, "read", lambda api: show_live(api, name, interval))


@experiment.command()
def watch(context: typer.Context, name: _Name, interval: _Interval = 5.0) -> None:
    """Print a line whenever something happens, until the experiment has ended."""
    from ml.cli.experiment.watch import follow

    def say(line: str) -> None:
        typer.echo(line)
        sys.stdout.flush()

    _with_api(context, "read", lambda api: follow(api, name, interval, say))


@experiment.command()
def results(
    context: typer.Context,
    name: _Name,
    report_format: Annotated[Literal["md", "html", "json"], typer.Option("--format", help="Of the report.")] = "md",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
) -> None:
    """Write a report with intervals and charts; the HTML is one file without anything from outside."""
    from ml.cli.experiment.answers import write_file
    from ml.cli.experiment.reports import write_report

    text = _with_api(context, "read", lambda api: write_report(api, name, report_format))
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_file(output, text)
        typer.echo(f"written: {output}", err=True)


@experiment.command()
def replay(
    context: typer.Context,
    name: _Name,
    file: Annotated[Path | None, typer.Option("--save", help="Also keep the events, one JSON object per line.")] = None,
    as_json: _Json = False,
) -> None:
    """Derive every stored decision again, bit for bit, and check the chain of hashes; exit code 1 at a difference."""
    import json

    from ml.cli.experiment.replaying import replay_experiment

    replayed = _with_api(context, "read", lambda api: replay_experiment(api, name, file))
    typer.echo(json.dumps(replayed.as_data(), indent=2) if as_json else "\n".join(replayed.as_lines()))
    if not replayed.ok:
        raise typer.Exit(_EXIT_FAILED)


@experiment.command()
def pause(context: typer.Context, name: _Name, why: _Why) -> None:
    """Keep weights as they are and take no decision."""
    _command(context, name, "pause", why)


@experiment.command()
def resume(context: typer.Context, name: _Name, why: _Why) -> None:
    """Go on after a pause."""
    _command(context, name, "resume", why)


@experiment.command()
def stop(context: typer.Context, name: _Name, why: _Why) -> None:
    """Send all traffic to control and end the experiment as cancelled."""
    _command(context, name, "stop", why)


@experiment.command()
def approve(context: typer.Context, name: _Name, why: _Why, arm: _Arm = None) -> None:
    """Let a promotion begin that waits for a person."""
    _command(context, name, "approve", why, arm)


@experiment.command()
def promote(context: typer.Context, name: _Name, why: _Why, arm: _Arm = None) -> None:
    """Make a treatment the champion, whatever the data say."""
    _command(context, name, "promote", why, arm)


@experiment.command()
def rollback(context: typer.Context, name: _Name, why: _Why, arm: _Arm = None) -> None:
    """Send all traffic to control at once and end the experiment as rolled back."""
    _command(context, name, "rollback", why, arm)


def _command(context: typer.Context, name: str, action: str, why: str, arm: str | None = None) -> None:
    import uuid

    key = uuid.uuid4().hex
    _with_api(context, "decide", lambda api: api.command(name, action, why, arm, key))
    typer.echo(
        f"asked for: {action} of {name}; the controller answers at its next look (`mlp experiment watch {name}`)"
    )


def _with_api(context: typer.Context, scope: Scope, action: Callable[[ApiClient], Awaitable[_T]]) -> _T:
    import asyncio
    import os

    from ml.cli.connection import connect
    from ml.cli.experiment.access import with_api

    stack, kube_context = context.obj
    return asyncio.run(
        with_api(lambda: connect(stack, kube_context, os.environ, Path.cwd()), os.environ, scope, action)
    )
