"""`python -m local.images`: make images, write what container files copy, lock packages, tidy the cache."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from local import paths, toolchain
from local.images.binaries import Binaries, export
from local.images.build import describe, ensure
from local.images.catalog import BINARY_FOLDER, read_containerfiles
from local.images.errors import ImageError
from local.images.folders import Folders
from local.images.lock import compile_all
from local.images.prune import prune as prune_cache
from local.images.store import Store
from local.progress import ConsoleProgress
from local.toolchain import ToolchainError

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
_BYTES_PER_MB = 1_000_000


@app.command()
def build(names: Annotated[list[str] | None, typer.Argument(help="images; all, if absent")] = None) -> None:
    """Make the images that the cache lacks and print their references."""
    progress = ConsoleProgress()
    references = ensure(toolchain.ensure(progress=progress), progress, names or None)
    store = Store(Folders.in_cache().store)
    for name, reference in references.items():
        typer.echo(f"{store.size_bytes([reference]) / _BYTES_PER_MB:7.0f} MB  {name:15}  {reference}")
    typer.echo(f"{store.size_bytes(references.values()) / _BYTES_PER_MB:7.0f} MB  together, shared layers once")


@app.command()
def binaries() -> None:
    """Write the compiled programs to build/bin, where `docker build` and `buildah build` expect them."""
    progress = ConsoleProgress()
    root = paths.repo_root()
    sources = [source for _, file in read_containerfiles(root).values() for source in file.sources]
    programs = sorted({source.rpartition("/")[2] for source in sources if source.startswith(f"{BINARY_FOLDER}/")})
    tools = toolchain.ensure(progress=progress)
    export(Binaries(tools, root, Folders.in_cache().programs, progress), programs, root / BINARY_FOLDER)


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


def main() -> int:
    """Run the command line; an expected failure becomes a message and exit code 1."""
    try:
        app(standalone_mode=False)
    except (ImageError, ToolchainError) as error:
        typer.echo(f"error: {error}", err=True)
        return 1
    except typer.Abort:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
