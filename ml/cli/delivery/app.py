"""The commands `mlp review`, `mlp promote` and `mlp delivery`: options, output and exit codes."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Literal

import typer

_EXIT_FAILED = 1

_Stack = Annotated[str, typer.Argument(help="Stack, as in Pulumi.STACK.yaml.")]
_Stacks = Annotated[list[str], typer.Argument(help="Stacks, as in Pulumi.STACK.yaml.")]
_Base = Annotated[str, typer.Option("--base", metavar="REV", help="Commit that the change is compared with.")]
_Version = Annotated[str | None, typer.Option("--version", help="By default what the stack before this one has.")]
_Commit = Annotated[bool, typer.Option("--commit", help="Commit the change on a branch of its own.")]
_Kind = Annotated[
    Literal["pulumi-operator", "argo-cd"],
    typer.Option("--kind", help="The operator's own objects, or the Application by which Argo CD keeps them."),
]
_Repository = Annotated[str, typer.Option("--repository", help="Address of the Git repository.")]
_Branch = Annotated[str, typer.Option("--branch", help="What of it is deployed.")]
_Backend = Annotated[str, typer.Option("--backend", help="Where Pulumi keeps the state, as for `pulumi login`.")]
_Image = Annotated[str, typer.Option("--image", help="What the operator runs the program in.")]
_Project = Annotated[str, typer.Option("--project", help="Argo CD's project.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `mlp`."""
    app.command("review")(review)
    app.command("promote")(promote)
    app.command("delivery")(delivery)


def review(stacks: _Stacks, base: _Base = "HEAD~1") -> None:
    """Print what a change means for stacks, as the comment of a pull request. Exit code 1 if policies refuse one."""
    from datetime import datetime

    from ml.cli.delivery.review import markdown
    from ml.cli.delivery.review import review as look_at

    found = [look_at(stack, base, datetime.now(UTC).date()) for stack in stacks]
    typer.echo(markdown(found), nl=False)
    if any(item.refused for item in found):
        raise typer.Exit(_EXIT_FAILED)


def promote(stack: _Stack, version: _Version = None, to_branch: _Commit = False) -> None:
    """Have a stack run the version that the stack before it runs: changes one line of Pulumi.STACK.yaml."""
    from ml.cli.delivery import promotion

    planned = promotion.plan(stack, version)
    if to_branch:
        promotion.commit(planned)
        typer.echo(f"{planned.message}\non branch {planned.branch}: git push --set-upstream origin {planned.branch}")
        return
    promotion.write(planned)
    typer.echo(f"{planned.message}\nchanged {planned.file.name}: git diff, then commit it")


def delivery(
    stack: _Stack,
    kind: _Kind,
    repository: _Repository,
    image: _Image,
    backend: _Backend,
    branch: _Branch = "main",
    project: _Project = "mlplatform",
) -> None:
    """Print the objects that have a stack deployed from Git by what runs in a cluster."""
    from ml.cli.delivery import manifests
    from ml.cli.delivery.source import makes_own_cluster

    found = manifests.Delivery(
        stack=stack,
        repository=repository,
        branch=branch,
        backend=backend,
        image=image,
        own_cluster=makes_own_cluster(stack),
    )
    by_operator = kind == "pulumi-operator"
    objects = manifests.operator_objects(found) if by_operator else manifests.argo_objects(found, project)
    typer.echo(manifests.documents(objects), nl=False)
