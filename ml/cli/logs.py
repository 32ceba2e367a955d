"""`mlp logs`: what a component has written, all of its pods and containers together."""

from __future__ import annotations

import subprocess

from ml.cli.components import find_parts
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.cli.tools import missing_tool

_MOST_STREAMS = 50


async def log_commands(
    kubectl: Kubectl, outputs: StackOutputs, component: str, *, follow: bool, tail: int
) -> list[list[str]]:
    """Return the command lines that show a component's logs; one, unless its workloads share no labels.

    Raises:
        UserError: no such component, or it does not run.
    """
    commands: list[list[str]] = []
    for part in find_parts(outputs, component):
        workload = await kubectl.get(part.namespace, part.kind, part.name)
        labels: dict[str, str] = workload["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        commands.append(
            kubectl.command(
                "logs",
                "--namespace",
                part.namespace,
                f"--selector={selector}",
                "--all-containers",
                "--prefix",
                f"--tail={tail}",
                f"--max-log-requests={_MOST_STREAMS}",
                "--ignore-errors",  # of a container that has not started; the others have something to say
                *(["--follow"] if follow else []),
            )
        )
    return commands


def show_logs(kubectl: Kubectl, commands: list[list[str]]) -> int:
    """Run the commands side by side until all end, writing to this process's output.

    Returns:
        0, or the exit code of a command that failed.
    """
    running: list[subprocess.Popen[bytes]] = []
    try:
        running += [
            subprocess.Popen(command, env=dict(kubectl.environment), stdin=subprocess.DEVNULL) for command in commands
        ]
        return max((process.wait() for process in running), default=0)
    except FileNotFoundError:
        raise missing_tool("kubectl") from None
    except KeyboardInterrupt:
        return 0  # the way to leave --follow
    finally:
        for process in running:
            process.kill()
            process.wait()
