"""`python -m local.node COMMAND`: the embedded node by itself, for finding faults.

The instance is named by MLP_INSTANCE. The platform's own commands (`make up`, `make down`) use the same node.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from local import node, paths, toolchain
from local.progress import ConsoleProgress

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)


@app.command()
def start(
    pause_image: Annotated[str, typer.Option(help="Image that holds a pod's namespaces open.")],
    api_port: Annotated[int, typer.Option(help="Port of 127.0.0.1 for the API server.")] = 16443,
    gateway_port: Annotated[int, typer.Option(help="Port of 127.0.0.1 for the ingress gateway.")] = 8080,
) -> None:
    """Start the node, or find it running."""
    progress = ConsoleProgress()
    config = node.NodeConfig(
        name=paths.instance_name(),
        state_dir=_state_dir(),
        api_port=api_port,
        gateway_port=gateway_port,
        pause_image=pause_image,
    )
    handle = node.start(config, toolchain.ensure(node.NODE_TOOLS, progress), progress)
    typer.echo(f"export KUBECONFIG={handle.kubeconfig}")


@app.command()
def stop() -> None:
    """End the node and keep its data."""
    node.stop(paths.instance_name(), _state_dir(), ConsoleProgress())


@app.command()
def destroy() -> None:
    """End the node and remove its data."""
    folder = _state_dir()
    node.destroy(paths.instance_name(), folder, ConsoleProgress())
    with contextlib.suppress(OSError):  # the rest of a platform may be in there
        folder.parent.rmdir()


@app.command()
def status() -> None:
    """Say whether the node runs; exit code 1 if it is not ready."""
    found = node.status(paths.instance_name(), _state_dir())
    typer.echo(f"running: {found.running}  ready: {found.ready}  process: {found.pid or '-'}")
    for path in found.leftovers:
        typer.echo(f"left by a killed node: {path}")
    raise typer.Exit(0 if found.ready else 1)


@app.command()
def shell() -> None:
    """Open a shell inside the node's network, mounts and processes."""
    raise typer.Exit(subprocess.call(node.attach(_state_dir()).command(["/bin/sh"])))


def _state_dir() -> Path:
    return paths.state_dir(paths.instance_name()) / "node"


if __name__ == "__main__":
    try:
        app()
    except (ValueError, OSError, node.NodeError, toolchain.ToolchainError) as error:
        sys.exit(f"error: {error}")
