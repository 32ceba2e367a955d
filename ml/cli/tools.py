"""Runs `pulumi` and `kubectl` with a time limit; nothing they start is left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml.cli.errors import UserError

_LAST_WORDS_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class ToolResult:
    """How a tool ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def last_words(self) -> str:
        """The last line that the tool wrote, which is where it says what is wrong."""
        lines = [line.strip() for line in (self.stderr or self.stdout).splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self.exit_code} without a message"


async def run_tool(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    timeout_seconds: float,
    stdin: str | None = None,
    folder: str | None = None,
) -> ToolResult:
    """Run a tool to its end.

    Raises:
        UserError: it is not on PATH, or not done within the time limit.
    """
    tool = arguments[0]
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            env=dict(environment),
            cwd=folder,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        raise missing_tool(tool) from None
    try:
        async with asyncio.timeout(timeout_seconds):
            stdout, stderr = await process.communicate(stdin.encode() if stdin is not None else None)
    except TimeoutError:
        raise UserError(
            f"`{' '.join(arguments[:3])}` gave no answer within {timeout_seconds:g} s",
            "see whether the machine or the cluster is overloaded or gone, then try again",
        ) from None
    finally:
        await end(process)
    return ToolResult(
        exit_code=process.returncode or 0,
        stdout=stdout.decode(errors="replace"),
        stderr=stderr.decode(errors="replace"),
    )


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill a process, if it still runs, and collect it and what it wrote last.

    Pipes that are open when the event loop closes make Python print a traceback.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        with contextlib.suppress(TimeoutError):  # a child of it may hold the pipes open
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await process.communicate()


def missing_tool(tool: str) -> UserError:
    """Return the error for a tool that is not on PATH."""
    return UserError(f"`{tool}` is not on PATH", f"install {tool} or add its folder to PATH")
