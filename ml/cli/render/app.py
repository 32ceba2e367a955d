"""The command `mlp render`: options, output and exit codes. What it does is imported when it runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from ml.cli.render.graph import Rendered

_Part = Literal["summary", "tree", "manifests", "counts", "cost"]
_Stack = Annotated[str, typer.Argument(help="Stack, as in Pulumi.STACK.yaml.")]
_Show = Annotated[_Part, typer.Option("--show", help="The summary is tree, counts and cost.")]
_Diff = Annotated[str | None, typer.Option("--diff", metavar="STACK", help="Compare with another stack.")]
_Commit = Annotated[
    str | None, typer.Option("--diff-commit", metavar="REV", help="Compare with the same stack at a commit.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print data instead of text.")]


def register(app: typer.Typer) -> None:
    """Add the command to `mlp`."""
    app.command("render")(render)


def render(
    stack: _Stack,
    show: _Show = "summary",
    diff: _Diff = None,
    diff_commit: _Commit = None,
    as_json: _Json = False,
) -> None:
    """Show what a stack would deploy and cost, or how that differs, without engine, plugins, cluster or login."""
    from ml.cli.errors import UserError
    from ml.cli.render.graph import read

    if diff is not None and diff_commit is not None:
        raise UserError("--diff and --diff-commit are two comparisons", "give one of them")
    rendered = read(stack)
    if diff is None and diff_commit is None:
        _show(rendered, show, as_json=as_json)
        return
    from ml.cli.render.difference import compare
    from ml.cli.render.revisions import read_at

    before = read(diff) if diff is not None else read_at(str(diff_commit), stack)
    found = compare(before, rendered)
    _print(found.as_data(), found.lines(), as_json=as_json)


def _show(rendered: Rendered, show: _Part, *, as_json: bool) -> None:
    from ml.cli.render.manifests import manifests
    from ml.cli.render.tree import count_lines, counts, tree

    if show == "manifests":
        typer.echo(manifests(rendered), nl=False)
        return
    if show == "cost":
        _show_cost(rendered, as_json=as_json)
        return
    found = counts(rendered)
    if show == "counts":
        _print(found, count_lines(found), as_json=as_json)
        return
    if as_json:
        _print(_as_data(rendered, with_cost=show == "summary"), [], as_json=True)
        return
    typer.echo("\n".join(tree(rendered)))
    if show == "summary":
        typer.echo("\n".join(["", *count_lines(found), ""]))
        _show_cost(rendered, as_json=False)


def _show_cost(rendered: Rendered, *, as_json: bool) -> None:
    from ml.cli.render import prices, table
    from ml.cli.render.cost import estimate

    found = estimate(rendered, prices.load())
    if as_json:
        _print(table.as_data(found), [], as_json=True)
    else:
        table.render(found, wide=not sys.stdout.isatty())


def _as_data(rendered: Rendered, *, with_cost: bool) -> dict[str, Any]:
    from ml.cli.render import prices, table
    from ml.cli.render.cost import estimate
    from ml.cli.render.tree import counts

    resources = [
        {"key": item.key, "type": item.type, "name": item.name, "parent": item.parent, "protected": item.protect}
        for item in rendered.resources.values()
    ]
    cost = {"cost": table.as_data(estimate(rendered, prices.load()))} if with_cost else {}
    return {"stack": rendered.title, "resources": resources, "counts": counts(rendered), **cost}


def _print(data: object, lines: list[str], *, as_json: bool) -> None:
    import json

    typer.echo(json.dumps(data, indent=2, ensure_ascii=False) if as_json else "\n".join(lines))
