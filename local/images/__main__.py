"""`python -m local.images`: make images, write what container files copy, lock packages, tidy the cache."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from local import paths, toolchain
from local.images.binaries import Binaries, export
from local.images.build import describe, ensure
from local.images.catalog import BINARY_FOLDER, programs, read_containerfiles
from local.images.errors import ImageError
from local.images.folders import Folders
from local.images.lock import compile_all
from local.images.prune import prune as prune_cache
from local.images.store import Store
from local.progress import ConsoleProgress, Progress
from local.toolchain import ToolchainError
from local.toolchain.catalog import GO_TOOLS

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
_BYTES_PER_MB = 1_000_000
_Names = Annotated[list[str] | None, typer.Argument(help="images; all that the cluster needs, if absent")]


@app.command()
def build(names: _Names = None) -> None:
    """Make the images that the cache lacks and print their references."""
    progress = ConsoleProgress()
    references = ensure(_tools(names, progress), progress, names or None)
    store = Store(Folders.in_cache().store)
    for name, reference in references.items():
        typer.echo(f"{store.size_bytes([reference]) / _BYTES_PER_MB:7.0f} MB  {name:15}  {reference}")
    typer.echo(f"{store.size_bytes(references.values()) / _BYTES_PER_MB:7.0f} MB  together, shared layers once")


@app.command()
def binaries(names: _Names = None) -> None:
    """Write the programs of images to build/bin, where `docker build` and `buildah build` expect them."""
    progress = ConsoleProgress()
    root = paths.repo_root()
    found = Binaries(_tools(names, progress), root, Folders.in_cache().programs, progress)
    files = {name: file for name, (_, file) in read_containerfiles(root).items() if not names or name in names}
    copied = sorted({program for file in files.values() for program in programs(file)})
    export(found, [program for program in copied if names or found.has(program)], root / BINARY_FOLDER)


@app.command()
def lock() -> None:
    """Compile every image's requirements.lock anew."""
    for path in compile_all(paths.repo_root(), ConsoleProgress()):
        typer.echo(path.relative_to(paths.repo_root()))


@app.command()
def prune() -> None:
    """Remove from the cache what the tree as it is now does not use."""
    progress = ConsoleProgress()
    images = describe(toolchain.ensure(progress=progress), progress)
    for removed in prune_cache(images, progress):
        typer.echo(f"removed {removed}")


def _tools(images: Iterable[str] | None, progress: Progress) -> toolchain.Toolchain:
    """Return the cluster's tools and, of those that it has only on demand, what these images copy."""
    files = read_containerfiles(paths.repo_root())
    copied = {program for name in images or () if name in files for program in programs(files[name][1])}
    asked = [tool.name for tool in GO_TOOLS if tool.on_demand and copied.intersection(tool.binaries)]
    return toolchain.ensure([*toolchain.CLUSTER_TOOLS, *asked], progress)


def main() -> int:
    """Run the command line; an expected failure becomes a message and exit code 1."""
    try:
        app(standalone_mode=False)
    except (ValueError, ImageError, ToolchainError) as error:
        typer.echo(f"error: {error}", err=True)
        return 1
    except typer.Abort:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
