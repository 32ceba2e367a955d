"""`python -m local`: what the Makefile calls."""

from __future__ import annotations

import errno
import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import typer

from local.images import ImageError
from local.lifecycle import platform
from local.lifecycle.instance import Instance
from local.lifecycle.lock import BusyError, instance_lock
from local.lifecycle.stack import StackError
from local.node import NodeError
from local.progress import ConsoleProgress, Progress
from local.toolchain import PreflightError, ToolchainError, require_root
from ml.contracts import RESEARCH_PATTERN_PREDICTOR

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)

EXIT_INTERRUPTED = 130
_LAST_LINES = 15
_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT)
_T = TypeVar("_T")


@app.command()
def up() -> None:
    """Bring the platform up, or continue where an earlier attempt stopped."""
    outputs = _guarded(lambda instance, progress: platform.up(instance, progress).stack.outputs())
    address = outputs["gateway"]["address"]
    typer.echo(
        f"\nThe platform answers at http://{address}\n\n"
        f"  {prediction_command(outputs)}\n\n"
        "Next: `mlp open` lists every address, `mlp verify` uses each part once, `mlp status` shows the slots."
    )


def prediction_command(outputs: Mapping[str, Any]) -> str:
    """Return a command line that asks the platform for a prediction.

    Args:
        outputs: the stack's.
    """
    body = json.dumps({"instances": [{"input": "test data"}]})
    # The documented model where it is deployed; else any.
    model = min(outputs["models"], key=lambda name: name != RESEARCH_PATTERN_PREDICTOR)
    url = f"http://{outputs['gateway']['address']}/v1/models/{model}:predict"
    return shlex.join(["curl", "-H", f"Host: {outputs['hosts']['ml']}", "-d", body, url])


@app.command()
def preview() -> None:
    """Show what `up` would change in the running platform."""
    _guarded(lambda instance, progress: platform.existing(instance, progress).stack.preview())


@app.command()
def stop() -> None:
    """Stop the platform and keep its data."""
    _guarded(platform.stop, to_end=True)


@app.command()
def down() -> None:
    """Remove the platform and everything that it wrote."""
    _guarded(platform.down, to_end=True)


def _guarded(action: Callable[[Instance, Progress], _T], *, to_end: bool = False) -> _T:
    """Run one command on the instance; an error becomes a message and an exit code, never a traceback."""
    progress = ConsoleProgress()
    # Also where the shell made background jobs deaf to Ctrl-C; `kill` is as good a reason to stop cleanly.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        require_root()
        instance = Instance.from_environment(to_end=to_end)
        with instance_lock(instance.state_dir):
            try:
                return action(instance, progress)
            except (platform.StepError, StackError) as error:
                _explain(error, instance)
                raise typer.Exit(1) from None
    except (ValueError, BusyError, PreflightError, ToolchainError, ImageError, NodeError) as error:
        typer.echo(f"\nerror: {error}", err=True)
        raise typer.Exit(1) from None
    except subprocess.SubprocessError as error:
        said = str(getattr(error, "stderr", None) or "").strip()
        typer.echo("\n".join([f"\nerror: {error}", *said.splitlines()[-_LAST_LINES:]]), err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"\nerror: {error}", err=True)
        if error.errno in _DISK_FAULTS:
            typer.echo("make room on that disk, then run the command again: it continues", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("\ninterrupted: `make up` continues, `make down` removes what is there", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _explain(error: Exception, instance: Instance) -> None:
    typer.echo(f"\nerror: {error}", err=True)
    for line in platform.diagnose(instance):
        typer.echo(line, err=True)
    typer.echo("after the repair run `make up` again: it continues", err=True)


if __name__ == "__main__":
    sys.exit(app())
